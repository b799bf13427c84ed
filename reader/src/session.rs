//! One connection to one generation, with its statements and its *view*: a read transaction that outlives the read that
//! began it. Reads within a view see one state and make no system call, for SQLite has its lock already.

use std::path::Path;

use ledger::{FamilyName, LdbTable, LeaderTs};
use rusqlite::Connection;

use crate::connect::{Keeper, connect};
use crate::ctl::Stand;
use crate::schema::Table;
use crate::statement::Statement;
use crate::tables::Tables;
use crate::{Error, meta};

/// The clock is up to 10 ms late, so no view is used after 50 ms.
const MAX_AGE_MS: u64 = 40;

/// Fields are dropped in their order: statements before their connection.
#[derive(Debug)]
pub(crate) struct Session {
    tables: Tables,
    begin: Statement,
    commit: Statement,
    version: Statement,
    view: Option<Begun>,
    views: u64,
    connection: Connection,
    pub(crate) generation: u64,
}

/// The view that is open.
#[derive(Debug, Clone, Copy)]
struct Begun {
    stand: Stand,
    at_ms: u64,
    /// When the newest entry in it was written, once somebody asked.
    last_update: Option<Option<LeaderTs>>,
}

impl Session {
    /// Opens the file and reads once from it.
    pub(crate) fn open(file: &Path, keeper: Keeper, generation: u64) -> Result<Self, Error> {
        let connection = connect(file, keeper)?;
        let mut session = Self {
            tables: Tables::default(),
            begin: Statement::prepare(&connection, "BEGIN")?,
            commit: Statement::prepare(&connection, "COMMIT")?,
            version: Statement::prepare(&connection, "PRAGMA schema_version")?,
            view: None,
            views: 0,
            connection,
            generation,
        };
        session.tables = Tables::of(session.version.integer()?);
        Ok(session)
    }

    /// Is a view open that shows this, and is young?
    #[inline]
    pub(crate) fn shows(&self, stand: Stand, now_ms: u64) -> bool {
        self.view.is_some_and(|view| {
            view.stand == stand && now_ms.wrapping_sub(view.at_ms) <= MAX_AGE_MS
        })
    }

    /// Begins a new view. What was committed before `stand` was looked at is in it.
    pub(crate) fn renew(&mut self, stand: Stand, now_ms: u64) -> Result<(), Error> {
        self.end()?;
        self.begin.run()?;
        // The first read of the transaction: from here on it sees one state, of this schema.
        match self.version.integer() {
            Ok(version) => self.tables.follow(version, &self.connection),
            Err(error) => {
                self.end()?;
                return Err(error);
            }
        }
        self.views += 1;
        self.view = Some(Begun { stand, at_ms: now_ms, last_update: None });
        Ok(())
    }

    /// Ends the view, if there is one.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.view = None;
        // A failure of SQLite may have ended the transaction already.
        if self.connection.is_autocommit() { Ok(()) } else { self.commit.run() }
    }

    /// The number of the view that is open.
    pub(crate) fn view(&self) -> Option<u64> {
        self.view.map(|_| self.views)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What the file says about a table, and the connection to read it with.
    #[inline]
    pub(crate) fn table(&mut self, at: Place<'_>) -> Result<(&mut Table, &Connection), Error> {
        Ok((self.tables.table(&self.connection, at)?, &self.connection))
    }

    /// The names of all tables, in order.
    pub(crate) fn names(&mut self) -> Result<&[LdbTable], Error> {
        self.tables.names(&self.connection)
    }

    /// Those of a family.
    pub(crate) fn names_of(&mut self, family: &FamilyName) -> Result<&[LdbTable], Error> {
        let all = self.names()?;
        let start = all.partition_point(|table| table.family() < family);
        let end = all.partition_point(|table| table.family() <= family);
        Ok(&all[start..end])
    }

    /// When the newest entry in the view was written.
    pub(crate) fn last_update(&mut self) -> Result<Option<LeaderTs>, Error> {
        if let Some(known) = self.view.and_then(|view| view.last_update) {
            return Ok(known);
        }
        let read = meta::last_update(&self.connection)?;
        if let Some(view) = &mut self.view {
            view.last_update = Some(read);
        }
        Ok(read)
    }
}

/// Which table: as the program named it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) family: &'a FamilyName,
    /// The family's number in its [`Ldb`](crate::Ldb).
    pub(crate) number: usize,
    pub(crate) table: &'a str,
}
