//! An LDB for unit tests of applications: the same files as an agent's, in a temporary directory.
//!
//! ```
//! use ledger::{ColumnType, Value};
//! use reader::{Ldb, testing::TestLdb};
//!
//! let test = TestLdb::new()?;
//! test.table("billing", "limits", &[("tenant", ColumnType::String), ("max", ColumnType::Integer)], &["tenant"])?;
//! test.insert("billing", "limits", &[Value::Text("acme".into()), Value::Integer(10)])?;
//!
//! let billing = Ldb::open(test.dir())?.family("billing")?;
//! assert!(billing.row("limits", &["acme".into()])?.is_some());
//! # Ok::<(), reader::testing::TestError>(())
//! ```

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::{
    Column, ColumnName, ColumnType, FamilyName, LdbTable, LeaderTs, Row, TableName, TableSchema,
    Value,
};
use rusqlite::{Connection, params_from_iter};

use crate::layout;

/// Why a test LDB could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The system refuses a file.
    #[error("cannot make the files of a test LDB")]
    Io(#[from] std::io::Error),
    /// A name is impossible.
    #[error(transparent)]
    Name(#[from] ledger::NameError),
    /// A table makes no sense.
    #[error(transparent)]
    Schema(#[from] ledger::SchemaError),
    /// A value does not fit its column.
    #[error(transparent)]
    Value(#[from] ledger::ValueError),
    /// More values than columns.
    #[error("{values} values for the {columns} columns of {table}")]
    TooManyValues {
        /// The table.
        table: LdbTable,
        /// How many values were given.
        values: usize,
        /// How many columns there are.
        columns: usize,
    },
    /// The table cannot be read.
    #[error(transparent)]
    Reader(#[from] crate::Error),
    /// SQLite refuses.
    #[error("cannot write the test LDB")]
    Sqlite(#[from] rusqlite::Error),
}

/// An LDB that lives as long as this value.
#[derive(Debug)]
pub struct TestLdb {
    dir: PathBuf,
    connection: Connection,
}

impl TestLdb {
    /// An empty LDB.
    ///
    /// # Errors
    /// The system or SQLite refuses.
    pub fn new() -> Result<Self, TestError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let nanos = now().as_nanos();
        let name = format!("ldb-{}-{number}-{nanos}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let generation = layout::generation_dir(1);
        std::fs::create_dir_all(dir.join(&generation))?;
        let connection = Connection::open(dir.join(&generation).join(layout::LDB))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        for sql in [layout::CREATE_SEQ, layout::CREATE_LAST_UPDATE, layout::CREATE_META] {
            connection.execute(sql, [])?;
        }
        symlink(&generation, dir.join(layout::CURRENT))?;
        symlink(Path::new(layout::CURRENT).join(layout::LDB), dir.join(layout::LDB))?;
        let words = [layout::MAGIC, layout::VERSION, 1, 0, 0, 1, 1];
        let mut page: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        page.resize(layout::CTL_BYTES, 0);
        std::fs::write(dir.join(layout::CTL), page)?;
        Ok(Self { dir, connection })
    }

    /// Its directory, for [`Ldb::open`](crate::Ldb::open).
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a table.
    ///
    /// # Errors
    /// A name or the key is impossible, or the table is there.
    pub fn table(
        &self,
        family: &str,
        table: &str,
        columns: &[(&str, ColumnType)],
        key: &[&str],
    ) -> Result<(), TestError> {
        let column = |&(name, column_type): &(&str, ColumnType)| {
            ColumnName::parse(name).map(|name| Column { name, column_type })
        };
        let columns = columns.iter().map(column).collect::<Result<_, _>>()?;
        let key = key.iter().map(|name| ColumnName::parse(name)).collect::<Result<_, _>>()?;
        let schema = TableSchema::new(name(family, table)?, columns, key)?;
        self.sql(&ledger::Statement::CreateTable(schema).to_string())
    }

    /// Writes a row: a value for each column, in the columns' order.
    ///
    /// # Errors
    /// The table is not there, or a value does not fit.
    pub fn insert(&self, family: &str, table: &str, values: &[Value]) -> Result<(), TestError> {
        let name = name(family, table)?;
        let schema = crate::schema::Table::load(&self.connection, &name)?.schema;
        let (columns, values_len) = (schema.columns().len(), values.len());
        if values_len > columns {
            return Err(TestError::TooManyValues { table: name, values: values_len, columns });
        }
        let row = Row::new(&schema, values.to_vec())?;
        let places = vec!["?"; row.values().len()].join(", ");
        let sql = format!("REPLACE INTO \"{name}\" VALUES({places})");
        self.connection.execute(&sql, params_from_iter(row.values().iter().map(stored)))?;
        self.touch()
    }

    /// Runs SQL on the file, for what the other methods cannot make.
    ///
    /// # Errors
    /// SQLite refuses it.
    pub fn sql(&self, sql: &str) -> Result<(), TestError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// Counts an entry, written now.
    fn touch(&self) -> Result<(), TestError> {
        let micros = i64::try_from(now().as_micros()).unwrap_or(i64::MAX);
        let sql = "REPLACE INTO _ldb_last_update VALUES('ledger', ?1)";
        self.connection.execute(sql, [LeaderTs::from_micros(micros).to_go_text()])?;
        let sql = "REPLACE INTO _ldb_seq SELECT 1, coalesce(max(seq), 0) + 1 FROM _ldb_seq";
        self.connection.execute(sql, [])?;
        Ok(())
    }
}

impl Drop for TestLdb {
    fn drop(&mut self) {
        // Rubbish in a temporary directory is no reason to fail a test.
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn name(family: &str, table: &str) -> Result<LdbTable, TestError> {
    Ok(LdbTable::new(FamilyName::parse(family)?, TableName::parse(table)?)?)
}

fn stored(value: &Value) -> rusqlite::types::Value {
    use rusqlite::types::Value as Stored;
    match value {
        Value::Null => Stored::Null,
        Value::Integer(integer) => Stored::Integer(*integer),
        Value::Decimal(number) => Stored::Real(*number),
        Value::Text(text) => Stored::Text(text.clone()),
        Value::Bytes(bytes) => Stored::Blob(bytes.clone()),
    }
}
