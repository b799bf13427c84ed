//! What can go wrong when reading. Ask the questions (`is_...`); the variants may grow.

use std::path::PathBuf;

use ledger::{ColumnName, ColumnType, FamilyName, LdbTable, NameError};
use rusqlite::ffi;

use crate::DecodeError;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody keeps an LDB there.
    #[error(
        "no LDB at {path}: start `ctlstore agent --ldb-dir {path}` on this node, or name the directory of the one that runs",
        path = path.display()
    )]
    NoLdb {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The control page cannot be read.
    #[error("cannot read {path}: the directory needs mode 0755 and the file 0644", path = path.display())]
    Ctl {
        /// The control page.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a control page of ctlstore, name the directory of an agent", path = path.display())]
    NotCtl {
        /// The file.
        path: PathBuf,
    },
    /// The agent is newer, and says that this reader would misread its files.
    #[error(
        "this LDB needs a reader of version {least} or later, rebuild the program with a newer `reader`"
    )]
    TooOld {
        /// The least version that it needs.
        least: u64,
    },
    /// A name that nothing can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No table of that family is here.
    #[error(
        "no family {family} in this LDB: create a table of it, or wait until the agent has replayed it"
    )]
    UnknownFamily {
        /// The family.
        family: FamilyName,
    },
    /// That table is not here.
    #[error("no table {table} in this LDB: create it, or wait until the agent has replayed it")]
    UnknownTable {
        /// The table.
        table: LdbTable,
    },
    /// A table that ctlstore would not have made.
    #[error("table {table} was not made by ctlstore: {what}")]
    ForeignTable {
        /// The table.
        table: LdbTable,
        /// What is strange about it.
        what: String,
    },
    /// Too few or too many values for a key.
    #[error("{got} key values for table {table}, whose key is ({key}): {cure}", key = names(key), cure = cure(key, *got))]
    KeyCount {
        /// The table.
        table: LdbTable,
        /// The columns of its key, in order.
        key: Vec<ColumnName>,
        /// How many values were given.
        got: usize,
    },
    /// A key value of another type than its column's.
    #[error("key column {column:?} of table {table} is {column_type} and takes {wants}, not {got}", column = column.as_str(), wants = wants(*column_type))]
    KeyType {
        /// The table.
        table: LdbTable,
        /// The column.
        column: ColumnName,
        /// Its type.
        column_type: ColumnType,
        /// What was given, in words.
        got: &'static str,
    },
    /// A row does not fit the type that it is read into.
    #[error("a row of table {table} does not fit the type it is read into")]
    Decode {
        /// The table.
        table: LdbTable,
        /// Which column, and why.
        source: DecodeError,
    },
    /// One of the agent's own tables says something that it never writes.
    #[error(
        "table {table} holds {what}, which ctlstore never writes: was the file changed by hand?"
    )]
    Broken {
        /// The table.
        table: &'static str,
        /// What it holds.
        what: String,
    },
    /// SQLite refused.
    #[error("cannot read the LDB")]
    Sqlite(#[from] rusqlite::Error),
    /// SQLite went on refusing for a while.
    #[error(
        "cannot read {path}, also after {tries} tries: is the agent in the middle of its first start, or the file not readable (modes 0755 and 0644)?",
        path = path.display()
    )]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// How often it was tried.
        tries: u32,
        /// What SQLite said last.
        source: rusqlite::Error,
    },
}

impl Error {
    /// The LDB, the family or the table is not here (yet).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Error::NoLdb { .. } | Error::UnknownFamily { .. } | Error::UnknownTable { .. }
        )
    }

    /// The caller named something impossible: a wrong name, count or type. Asking again does not help.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Name(_) | Error::KeyCount { .. } | Error::KeyType { .. })
    }

    /// The file cannot be read at the moment; what passes by itself was waited for already.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }

    /// What SQLite says when the agent is in the middle of something. It passes, usually at once.
    pub(crate) fn passing(self) -> Result<rusqlite::Error, Self> {
        const PASSING: [i32; 6] = [
            ffi::SQLITE_READONLY_RECOVERY,
            ffi::SQLITE_READONLY_CANTINIT,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_CANTOPEN,
        ];
        match self {
            Error::Sqlite(error) => match error.sqlite_error() {
                // Low byte: CANTOPEN_FULLPATH (a generation that is just replaced) and its like.
                Some(code)
                    if PASSING.contains(&code.extended_code)
                        || code.extended_code & 0xff == ffi::SQLITE_CANTOPEN =>
                {
                    Ok(error)
                }
                Some(_) | None => Err(Error::Sqlite(error)),
            },
            other => Err(other),
        }
    }
}

fn names(columns: &[ColumnName]) -> String {
    columns.iter().map(ColumnName::as_str).collect::<Vec<_>>().join(", ")
}

fn cure(key: &[ColumnName], got: usize) -> String {
    match key.get(got) {
        Some(missing) => format!("give a value for {:?}", missing.as_str()),
        None => "leave out those that are too many".to_owned(),
    }
}

fn wants(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::String | ColumnType::Text => "text",
        ColumnType::Integer => "an integer",
        ColumnType::Binary | ColumnType::ByteString => "bytes",
        ColumnType::Decimal => "a number",
    }
}
