//! LDBs for unit tests of applications: the same files as an agent's. [`TestLdb`] is one in a temporary directory that a
//! test writes as it goes; [`LdbBuilder`] makes one from tables and rows that stays.
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

mod builder;

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::{
    Column, ColumnName, ColumnType, FamilyName, LdbTable, LeaderTs, Row, TableName, TableSchema,
    Value,
};
use rusqlite::{Connection, params_from_iter};

pub use crate::testing::builder::LdbBuilder;

use crate::layout::{self, word};
use crate::query::stored;
use crate::testing::builder::replace;

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
    /// The same table a second time.
    #[error("table {table} is there already, leave one of the two out")]
    TableTwice {
        /// The table.
        table: LdbTable,
    },
    /// A row of a table that was not added.
    #[error("no table {table}: add the table before its rows")]
    NoTable {
        /// The table.
        table: LdbTable,
    },
    /// Something lies where an LDB should be made.
    #[error("{path} is not empty, name a directory that is not there yet", path = path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
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
    incarnation: AtomicU64,
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
        LdbBuilder::new().build(&dir)?;
        let file = dir.join(layout::generation_dir(1)).join(layout::LDB);
        let connection = Connection::open(file)?;
        // Opens the shared memory to write, before a reader of this process opens it for both of them to read.
        connection.pragma_update(None, "journal_mode", "wal")?;
        Ok(Self { dir, connection, incarnation: AtomicU64::new(1) })
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
        let schema = schema(family, table, columns, key)?;
        self.sql(&layout::create_table(&schema))
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
        let values = params_from_iter(row.values().iter().map(stored));
        self.connection.execute(&replace(&schema), values)?;
        self.touch()
    }

    /// Runs SQL on the file, for what the other methods cannot make.
    ///
    /// # Errors
    /// SQLite refuses it.
    pub fn sql(&self, sql: &str) -> Result<(), TestError> {
        self.connection.execute_batch(sql)?;
        // The sequence may be the same, and readers should look all the same.
        self.incarnation.fetch_add(1, Ordering::Relaxed);
        self.set_word(word::INCARNATION, self.incarnation.load(Ordering::Relaxed))
    }

    /// Counts an entry, written now, and tells readers.
    fn touch(&self) -> Result<(), TestError> {
        let micros = i64::try_from(now().as_micros()).unwrap_or(i64::MAX);
        let sql = "REPLACE INTO _ldb_last_update VALUES('ledger', ?1)";
        self.connection.execute(sql, [LeaderTs::from_micros(micros).to_go_text()])?;
        let sql = "REPLACE INTO _ldb_seq SELECT 1, coalesce(max(seq), 0) + 1 FROM _ldb_seq";
        self.connection.execute(sql, [])?;
        self.tell()
    }

    /// Writes the sequence that the LDB stands at, and tells readers.
    ///
    /// # Errors
    /// SQLite refuses it.
    pub fn set_seq(&self, seq: ledger::Seq) -> Result<(), TestError> {
        let sql = "REPLACE INTO _ldb_seq VALUES(1, ?1)";
        self.connection.execute(sql, [seq.to_i64()])?;
        self.tell()
    }

    /// Says in the control page where the file stands, as an agent does after each commit.
    ///
    /// # Errors
    /// The file cannot be read or the page not written.
    pub fn tell(&self) -> Result<(), TestError> {
        let seq = crate::meta::seq(&self.connection)?.map_or(0, ledger::Seq::get);
        self.set_word(word::SEQ, seq)
    }

    /// Writes a word of the control page ([`layout::word`]).
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_word(&self, word: usize, value: u64) -> Result<(), TestError> {
        let ctl = std::fs::File::options().write(true).open(self.dir.join(layout::CTL))?;
        let offset = u64::try_from(word * 8).unwrap_or(u64::MAX);
        Ok(ctl.write_all_at(&value.to_le_bytes(), offset)?)
    }
}

impl Drop for TestLdb {
    fn drop(&mut self) {
        // Rubbish in a temporary directory is no reason to fail a test.
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// A table from names.
///
/// # Errors
/// A name or the key is impossible.
pub fn schema(
    family: &str,
    table: &str,
    columns: &[(&str, ColumnType)],
    key: &[&str],
) -> Result<TableSchema, TestError> {
    let column = |&(name, column_type): &(&str, ColumnType)| {
        ColumnName::parse(name).map(|name| Column { name, column_type })
    };
    let columns = columns.iter().map(column).collect::<Result<_, _>>()?;
    let key = key.iter().map(|name| ColumnName::parse(name)).collect::<Result<_, _>>()?;
    Ok(TableSchema::new(name(family, table)?, columns, key)?)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn name(family: &str, table: &str) -> Result<LdbTable, TestError> {
    Ok(LdbTable::new(FamilyName::parse(family)?, TableName::parse(table)?)?)
}
