//! What a quiescent LDB file holds: position, tables, rows. For files that nobody writes: a copy, or a download that is not
//! served yet. It is opened as immutable, which on a live file would give wrong answers.
//!
//! A downloaded file is not trusted: nothing but tables that ctlstore makes may be in it, and SQLite is told so.

use std::path::{Path, PathBuf};

use ledger::snapshot::{Cell, Content, TableContent};
use ledger::{Column, ColumnName, ColumnType, LdbTable, LeaderTs, Position, Seq, TableSchema};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// Tables of the agent's own.
const OWN: [&str; 3] = ["_ldb_seq", "_ldb_last_update", "_ldb_meta"];

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Where it stands; none when nothing was applied.
    pub position: Option<Position>,
    /// Its tables, by name.
    pub tables: Vec<TableContent>,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outline {
    /// Where it stands; none when nothing was applied, and in a file of the original.
    pub(crate) position: Option<Position>,
    /// The number of its last entry, which a file of the original has, too.
    pub(crate) seq: Option<Seq>,
    /// When that was written.
    pub(crate) last_update: Option<LeaderTs>,
    /// Its tables, by name.
    pub(crate) tables: Vec<TableSchema>,
}

/// A file is no LDB, or not whole.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// SQLite cannot read it.
    #[error("cannot read {path} as a database", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// SQLite finds it damaged.
    #[error("{path} is damaged: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
    /// It holds what ctlstore does not make.
    #[error("{path} is no LDB of ours: {what}", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: String,
    },
    /// Its books make no sense.
    #[error("cannot tell where {path} stands", path = path.display())]
    Books {
        /// The file.
        path: PathBuf,
        /// Why.
        source: reader::Error,
    },
}

/// Reads all of a file, and checks it. Blocks for about a second per gigabyte and another per million rows.
///
/// # Errors
/// It is no LDB, or not whole.
pub fn read(path: &Path) -> Result<Contents, ContentsError> {
    let file = QuiescentFile { path };
    let connection = file.open().map_err(file.unreadable())?;
    file.check(&connection)?;
    let Outline { position, tables, .. } = file.outline(&connection)?;
    let tables = tables.into_iter().map(|schema| file.table(&connection, schema));
    Ok(Contents { position, tables: tables.collect::<Result<_, _>>()? })
}

/// Reads what a file says of itself, however large it is: enough for one whose bytes are known to be right. What
/// ctlstore does not make is refused.
pub(crate) fn outline(path: &Path) -> Result<Outline, ContentsError> {
    let file = QuiescentFile { path };
    file.outline(&file.open().map_err(file.unreadable())?)
}

/// The same for a file whose bytes nobody vouches for: each page is looked at.
pub(crate) fn check(path: &Path) -> Result<Outline, ContentsError> {
    let file = QuiescentFile { path };
    let connection = file.open().map_err(file.unreadable())?;
    file.check(&connection)?;
    file.outline(&connection)
}

struct QuiescentFile<'a> {
    path: &'a Path,
}

impl QuiescentFile<'_> {
    fn open(&self) -> rusqlite::Result<Connection> {
        let mut url = String::from("file:");
        for byte in self.path.as_os_str().as_encoded_bytes() {
            match byte {
                b'/' | b'.' | b'-' | b'_' => url.push(char::from(*byte)),
                byte if byte.is_ascii_alphanumeric() => url.push(char::from(*byte)),
                byte => url.push_str(&format!("%{byte:02x}")),
            }
        }
        url.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(url, flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(connection)
    }

    fn outline(&self, connection: &Connection) -> Result<Outline, ContentsError> {
        let books = |source| ContentsError::Books { path: self.path.to_owned(), source };
        let tables = self.names(connection)?.into_iter().map(|name| self.schema(connection, &name));
        Ok(Outline {
            tables: tables.collect::<Result<_, _>>()?,
            position: reader::meta::position(connection).map_err(books)?,
            seq: reader::meta::seq(connection).map_err(books)?,
            last_update: reader::meta::last_update(connection).map_err(books)?,
        })
    }

    fn check(&self, connection: &Connection) -> Result<(), ContentsError> {
        let check = "PRAGMA quick_check(1)";
        let found = connection.query_row(check, [], |row| row.get::<_, String>(0));
        let found = found.map_err(self.unreadable())?;
        if found == "ok" {
            return Ok(());
        }
        Err(ContentsError::Damaged { path: self.path.to_owned(), what: found })
    }

    /// The tables of families, by name; refuses a file with anything else.
    fn names(&self, connection: &Connection) -> Result<Vec<LdbTable>, ContentsError> {
        let read = || {
            let sql = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY name";
            let mut statement = connection.prepare(sql)?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String, String)>>>()
        };
        let mut tables = Vec::new();
        for (kind, name, sql) in read().map_err(self.unreadable())? {
            let plain = sql.get(..13).is_some_and(|sql| sql.eq_ignore_ascii_case("CREATE TABLE "));
            match kind.as_str() {
                "index" if name.starts_with("sqlite_autoindex_") => {}
                "table" if name.starts_with("sqlite_stat") => {}
                "table" if plain && OWN.contains(&name.as_str()) => {}
                "table" if plain && LdbTable::parse(&name).is_ok() => {
                    tables.extend(LdbTable::parse(&name));
                }
                _ => return Err(self.foreign(format!("it has the {kind} {name:?}"))),
            }
        }
        Ok(tables)
    }

    fn table(
        &self,
        connection: &Connection,
        schema: TableSchema,
    ) -> Result<TableContent, ContentsError> {
        let columns: Vec<_> =
            schema.columns().iter().map(|column| format!("\"{}\"", column.name)).collect();
        let mut content = Content::default();
        let mut read = || {
            let sql = format!("SELECT {} FROM \"{}\"", columns.join(","), schema.table());
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let mut cells = Vec::with_capacity(columns.len());
                for index in 0..columns.len() {
                    cells.push(cell(row.get_ref(index)?));
                }
                content.add(cells);
            }
            Ok(())
        };
        read().map_err(self.unreadable())?;
        Ok(TableContent { schema, rows: content.rows(), digest: content.digest() })
    }

    fn schema(
        &self,
        connection: &Connection,
        name: &LdbTable,
    ) -> Result<TableSchema, ContentsError> {
        let read = || {
            // A table's name has no quote, so it can stand between two.
            let mut statement = connection.prepare(&format!("PRAGMA table_xinfo(\"{name}\")"))?;
            let rows = statement.query_map([], |row| {
                let hidden: i64 = row.get("hidden")?;
                Ok((row.get("name")?, row.get("type")?, row.get("pk")?, hidden))
            })?;
            rows.collect::<rusqlite::Result<Vec<(String, String, i64, i64)>>>()
        };
        let (mut columns, mut key) = (Vec::new(), Vec::new());
        for (column, declared, place, hidden) in read().map_err(self.unreadable())? {
            let parsed = ColumnName::parse(&column).ok();
            let (Some(parsed), Some(column_type), 0) =
                (parsed, ColumnType::from_sqlite(&declared), hidden)
            else {
                return Err(
                    self.foreign(format!("column {column:?} of table {name} is {declared}"))
                );
            };
            if place > 0 {
                key.push((place, parsed.clone()));
            }
            columns.push(Column { name: parsed, column_type });
        }
        key.sort();
        let key = key.into_iter().map(|(_, column)| column).collect();
        TableSchema::new(name.clone(), columns, key)
            .map_err(|error| self.foreign(error.to_string()))
    }

    fn foreign(&self, what: String) -> ContentsError {
        ContentsError::Foreign { path: self.path.to_owned(), what }
    }

    fn unreadable(&self) -> impl Fn(rusqlite::Error) -> ContentsError {
        |source| ContentsError::Unreadable { path: self.path.to_owned(), source }
    }
}

fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => Cell::Text(bytes),
        ValueRef::Blob(bytes) => Cell::Blob(bytes),
    }
}
