//! Writes the directory of an agent from tables and rows.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use ledger::{ColumnName, LdbTable, LeaderTs, Position, Row, TableSchema, Value};
use rusqlite::{Connection, params_from_iter};
use serde_json::value::RawValue;

use crate::layout::{self, word};
use crate::query::stored;
use crate::testing::{TestError, now};

/// Makes an LDB from tables and rows: the files of an agent's directory, byte for byte the same layout, to be read by any
/// client in any language. Nobody keeps it: its position stands still, and its heartbeat is the time of [`build`].
///
/// ```
/// use ledger::{ColumnType, Value};
/// use reader::{Ldb, testing::{LdbBuilder, schema}};
///
/// let limits = schema("billing", "limits", &[("tenant", ColumnType::String), ("max", ColumnType::Integer)], &["tenant"])?;
/// let dir = tempfile::tempdir()?;
/// let mut builder = LdbBuilder::new();
/// builder.table(limits.clone())?;
/// builder.row(limits.table(), vec![Value::Text("acme".into()), Value::Integer(10)])?;
/// builder.build(&dir.path().join("ldb"))?;
///
/// let billing = Ldb::open(dir.path().join("ldb"))?.family("billing")?;
/// assert!(billing.row("limits", &["acme".into()])?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`build`]: LdbBuilder::build
#[derive(Debug, Default)]
pub struct LdbBuilder {
    tables: Vec<(TableSchema, Vec<Row>)>,
    position: Option<Position>,
}

impl LdbBuilder {
    /// No table, no position.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table.
    ///
    /// # Errors
    /// It is there already.
    pub fn table(&mut self, schema: TableSchema) -> Result<&mut Self, TestError> {
        if self.tables.iter().any(|(other, _)| other.table() == schema.table()) {
            return Err(TestError::TableTwice { table: schema.table().clone() });
        }
        self.tables.push((schema, Vec::new()));
        Ok(self)
    }

    /// Adds a row: a value for each column, in the columns' order. Of rows with the same key the last one stays.
    ///
    /// # Errors
    /// The table was not added, or a value does not fit its column.
    pub fn row(&mut self, table: &LdbTable, values: Vec<Value>) -> Result<&mut Self, TestError> {
        let (schema, rows) = self.find(table)?;
        let columns = schema.columns().len();
        if values.len() > columns {
            return Err(TestError::TooManyValues {
                table: table.clone(),
                values: values.len(),
                columns,
            });
        }
        rows.push(Row::new(schema, values)?);
        Ok(self)
    }

    /// Adds a row from JSON by column name, as the write API takes it: bytes are base64, 64-bit integers exact.
    ///
    /// # Errors
    /// The table was not added, a column is missing, or a value does not fit its column.
    pub fn json_row(
        &mut self,
        table: &LdbTable,
        json: &std::collections::BTreeMap<ColumnName, &RawValue>,
    ) -> Result<&mut Self, TestError> {
        let (schema, rows) = self.find(table)?;
        rows.push(Row::from_json(schema, json)?);
        Ok(self)
    }

    /// Where it says to stand in the ledger. Without one it has a sequence (the number of its rows) and no position.
    pub fn position(&mut self, position: Position) -> &mut Self {
        self.position = Some(position);
        self
    }

    /// Writes the directory. It is made when it is not there, and must be empty when it is.
    ///
    /// # Errors
    /// The directory has something in it, or the system or SQLite refuses.
    pub fn build(&self, dir: &Path) -> Result<(), TestError> {
        make_dir(dir)?;
        if std::fs::read_dir(dir)?.next().is_some() {
            return Err(TestError::NotEmpty { path: dir.to_owned() });
        }
        let generation = layout::generation_dir(1);
        make_dir(&dir.join(&generation))?;
        let file = dir.join(&generation).join(layout::LDB);
        // With its mode before SQLite opens it: the others take theirs from it.
        make_file(&file, b"")?;
        let seq = self.write(&mut Connection::open(&file)?)?;
        // The last connection removes both when it closes; who may not write the directory could not open it then.
        for end in ["-wal", "-shm"] {
            make_file(&dir.join(&generation).join(format!("{}{end}", layout::LDB)), b"")?;
        }
        symlink(&generation, dir.join(layout::CURRENT))?;
        symlink(Path::new(layout::CURRENT).join(layout::LDB), dir.join(layout::LDB))?;
        // Last: it says that the rest is there.
        make_file(&dir.join(layout::CTL), &page(seq))?;
        Ok(())
    }

    fn find(&mut self, table: &LdbTable) -> Result<(&TableSchema, &mut Vec<Row>), TestError> {
        let found = self.tables.iter_mut().find(|(schema, _)| schema.table() == table);
        let (schema, rows) = found.ok_or_else(|| TestError::NoTable { table: table.clone() })?;
        Ok((schema, rows))
    }

    /// Fills the file, and says where it stands.
    fn write(&self, connection: &mut Connection) -> Result<u64, TestError> {
        connection.pragma_update(None, "journal_mode", "wal")?;
        let transaction = connection.transaction()?;
        for sql in [layout::CREATE_SEQ, layout::CREATE_LAST_UPDATE, layout::CREATE_META] {
            transaction.execute(sql, [])?;
        }
        let mut count = 0_u64;
        for (schema, rows) in &self.tables {
            transaction.execute(&layout::create_table(schema), [])?;
            let mut insert = transaction.prepare(&replace(schema))?;
            for row in rows {
                insert.execute(params_from_iter(row.values().iter().map(stored)))?;
                count += 1;
            }
        }
        let seq = self.position.map_or(count, |position| position.seq.get());
        if seq > 0 {
            let number = i64::try_from(seq).unwrap_or(i64::MAX);
            transaction.execute("INSERT INTO _ldb_seq VALUES(1, ?1)", [number])?;
            let micros = i64::try_from(now().as_micros()).unwrap_or(i64::MAX);
            let sql = "INSERT INTO _ldb_last_update VALUES('ledger', ?1)";
            transaction.execute(sql, [LeaderTs::from_micros(micros).to_go_text()])?;
        }
        if let Some(position) = self.position {
            transaction.execute(
                "INSERT INTO _ldb_meta VALUES(1, ?1, ?2, ?3, ?4, ?5)",
                rusqlite::params![
                    layout::META_FORMAT,
                    position.history.to_string(),
                    position.seq.to_i64(),
                    position.digest.as_bytes(),
                    position.chain.as_bytes(),
                ],
            )?;
        }
        transaction.commit()?;
        Ok(seq)
    }
}

/// The statement that writes a row of this table.
pub(super) fn replace(schema: &TableSchema) -> String {
    let places = vec!["?"; schema.columns().len()].join(", ");
    format!("REPLACE INTO \"{}\" VALUES({places})", schema.table())
}

fn page(seq: u64) -> Vec<u8> {
    let mut words = [0; word::COUNT];
    words[word::MAGIC] = layout::MAGIC;
    words[word::VERSION] = layout::VERSION;
    words[word::GENERATION] = 1;
    words[word::SEQ] = seq;
    words[word::HEARTBEAT] = u64::try_from(now().as_millis()).unwrap_or(u64::MAX);
    words[word::INCARNATION] = 1;
    words[word::LEAST_READER] = 1;
    let mut page: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    page.resize(layout::CTL_BYTES, 0);
    page
}

/// Whatever the umask says.
fn make_dir(dir: &Path) -> std::io::Result<()> {
    match DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    std::fs::set_permissions(dir, Permissions::from_mode(0o755))
}

fn make_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o644).open(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(content)
}
