//! What can go wrong when reading. Ask the questions (`is_...`); the variants may grow.

mod questions;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use ledger::{
    ColumnName, ColumnType, FamilyName, History, LdbTable, Mark, NameError, Position, Seq,
};

use crate::DecodeError;
use crate::error::words::{behind, cure, names, other_history, place, wants};

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
    /// No value of a key where at least one is needed.
    #[error(
        "no key value for table {table}: give the first of its key, or say `scan` to read the whole table"
    )]
    NoPrefix {
        /// The table.
        table: LdbTable,
    },
    /// A resume key of another table, or of this one before it was made anew with another key.
    #[error("the resume key does not fit table {table}: begin again without one")]
    ResumeKey {
        /// The table.
        table: LdbTable,
    },
    /// A column of a borrowed row has a value of another kind than the one asked for.
    #[error("column {column} of a row of table {table}: {wants} was asked for, not {got}")]
    ColumnValue {
        /// The table.
        table: LdbTable,
        /// The column's name; its place when there is none.
        column: String,
        /// What was asked for, in words.
        wants: &'static str,
        /// What is there, in words.
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
    /// The LDB is further behind than the read allows.
    #[error(
        "the LDB is {} behind and may be {limit:?}: does the agent of this node still get the ledger?", behind(*by)
    )]
    Stale {
        /// How far behind it may be: the age of its newest entry. [`Duration::MAX`] when it has none.
        by: Duration,
        /// How far behind the read allows it to be.
        limit: Duration,
    },
    /// The LDB did not get there in time.
    #[error(
        "the LDB did not reach {wanted} within {waited:?}: it is at {seen}{}",
        histories.as_ref().map_or_else(String::new, |histories| other_history(histories))
    )]
    NotReached {
        /// What was waited for.
        wanted: Seq,
        /// Where it is.
        seen: Seq,
        /// How long.
        waited: Duration,
        /// The history of what was waited for and that of the LDB, where they are two: it gets there only if the first
        /// goes on from the second ([`Error::is_other_history`]).
        histories: Option<Box<(History, History)>>,
    },
    /// The LDB is past the position that was waited for, but not by way of it.
    #[error(
        "the LDB went another way than the position waited for ({}): it is at {}, and whether it has that write cannot be told; the system of record was restored in between, or serves another ledger",
        goal.as_ref().map_or_else(String::new, |goal| place(goal)),
        position.as_ref().map_or_else(String::new, |position| place(&position.mark()))
    )]
    Forked {
        /// What was waited for.
        goal: Option<Box<Mark>>,
        /// Where the LDB is.
        position: Option<Box<Position>>,
    },
    /// A view lived too long, or all connections were closed meanwhile: the process forked, or had to open them anew.
    #[error(
        "the view is over: begin another, or, if it lasted for the {most:?} that it was asked for, ask for more with `view_for`"
    )]
    ViewEnded {
        /// How long it may live.
        most: Duration,
    },
    /// The process was forked while another of its threads was in the middle of a read.
    #[error(
        "this process was forked in the middle of a read: fork before reading, or run a program after the fork"
    )]
    ForkedInRead,
    /// SQLite refused.
    #[error("cannot read the LDB")]
    Sqlite(#[from] rusqlite::Error),
    /// SQLite went on refusing for a while.
    #[error(
        "cannot read {path}, also after {tries} tries: is the agent in the middle of its first start, the file not readable (modes 0755 and 0644), or has this process too many files open?",
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
