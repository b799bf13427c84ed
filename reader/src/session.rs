//! One connection to one generation. Reads go through a [`View`]: one transaction, and so one state.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ledger::{FamilyName, LdbTable};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use crate::key::KeyValue;
use crate::schema::{self, Table};
use crate::{Error, Row};

/// Statements kept prepared per connection.
const STATEMENTS: usize = 256;

pub(crate) struct Session {
    connection: Connection,
    pub(crate) generation: u64,
    tables: Tables,
}

/// Who keeps the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    Agent,
    /// The original, or nobody: a copy.
    Original,
}

/// What the file said about its tables.
#[derive(Default)]
struct Tables {
    /// SQLite's counter of schema changes when it said so.
    version: i64,
    /// The names of all of them, in order; read when somebody asks.
    names: Option<Vec<LdbTable>>,
    /// Those that were read from.
    by_name: HashMap<LdbTable, Table>,
}

impl Session {
    /// Opens the file and reads once from it, for SQLite opens nothing before the first read.
    pub(crate) fn open(file: &Path, keeper: Keeper, generation: u64) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let shm = match keeper {
            // Keeps a reader that may write the directory from writing its shared memory.
            Keeper::Agent => "&readonly_shm=1",
            // Nobody sees to it that there is a WAL; it is made where we may, as the original's reader does.
            Keeper::Original => "",
        };
        let uri = format!("{}?mode=ro{shm}", uri(file));
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let version = schema_version(&connection)?;
        Ok(Self { connection, generation, tables: Tables { version, ..Tables::default() } })
    }

    /// Is no transaction open?
    pub(crate) fn is_idle(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Runs `read` in a transaction.
    pub(crate) fn view<T>(
        &mut self,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        let outcome = Self::begun(&self.connection, &mut self.tables, read);
        // A failure of SQLite may have ended the transaction already.
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        outcome
    }

    fn begun<T>(
        connection: &Connection,
        tables: &mut Tables,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // The first read of the transaction: from here on it sees one state, of this schema.
        let version = schema_version(connection)?;
        if version != tables.version {
            *tables = Tables { version, ..Tables::default() };
            connection.flush_prepared_statement_cache();
        }
        read(&mut View { connection, tables })
    }
}

/// One state of the LDB.
pub(crate) struct View<'a> {
    pub(crate) connection: &'a Connection,
    tables: &'a mut Tables,
}

impl View<'_> {
    /// The names of all tables, in order.
    pub(crate) fn tables(&mut self) -> Result<&[LdbTable], Error> {
        let names = match self.tables.names.take() {
            Some(names) => names,
            None => schema::names(self.connection)?,
        };
        Ok(self.tables.names.insert(names))
    }

    /// Those of a family.
    pub(crate) fn tables_of(&mut self, family: &FamilyName) -> Result<&[LdbTable], Error> {
        let all = self.tables()?;
        let start = all.partition_point(|table| table.family() < family);
        let end = all.partition_point(|table| table.family() <= family);
        Ok(&all[start..end])
    }

    /// What the file says about a table.
    pub(crate) fn table(&mut self, name: &LdbTable) -> Result<&Table, Error> {
        if !self.tables.by_name.contains_key(name) {
            let table = Table::load(self.connection, name)?;
            self.tables.by_name.insert(name.clone(), table);
        }
        self.tables.by_name.get(name).ok_or_else(|| Error::UnknownTable { table: name.clone() })
    }

    /// Hands out the rows whose key begins with these values, in the order of the key, until `each` breaks.
    pub(crate) fn scan(
        &mut self,
        name: &LdbTable,
        prefix: &[KeyValue<'_>],
        each: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let connection = self.connection;
        let table = self.table(name)?;
        let Some(select) = table.selects.get(prefix.len()) else {
            return Err(table.key_count(prefix.len()));
        };
        let mut key = Vec::with_capacity(prefix.len());
        for (value, column) in prefix.iter().zip(table.schema.key_columns()) {
            value.check(name, column)?;
            key.push(value.stored(column));
        }
        let mut statement = connection.prepare_cached(select)?;
        let mut rows = statement.query(params_from_iter(key))?;
        while let Some(row) = rows.next()? {
            if each(Row::read(&table.schema, row)?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// SQLite's counter of schema changes.
fn schema_version(connection: &Connection) -> Result<i64, Error> {
    let mut statement = connection.prepare_cached("PRAGMA schema_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// A path as a `file:` URI: all but plain characters are percent-encoded.
fn uri(path: &Path) -> String {
    // With an empty authority, for `//` at the beginning of a path would begin one.
    let mut text = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(byte.into());
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}
