//! What a connection knows of the tables, until the schema changes.

use std::collections::HashMap;

use ledger::{LdbTable, TableName};
use rusqlite::Connection;

use crate::Error;
use crate::schema::{self, Table};
use crate::session::Place;

/// Prepared statements held; beyond that, those of tables that are read least are prepared again.
const MOST_STATEMENTS: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// SQLite's counter of schema changes when it said so.
    version: i64,
    /// The names of all of them, in order; read when somebody asks.
    names: Option<Vec<LdbTable>>,
    /// Those that were read from.
    tables: Vec<Table>,
    /// Their places, by the family's number, then by name.
    places: Vec<HashMap<Box<str>, usize>>,
    /// The one that was read last: most reads are of the same table as the one before.
    last: Last,
}

#[derive(Debug, Default)]
struct Last {
    /// The family's number.
    number: usize,
    place: usize,
}

impl Tables {
    pub(crate) fn of(version: i64) -> Self {
        Self { version, ..Self::default() }
    }

    /// Forgets all when the schema is another one.
    pub(crate) fn follow(&mut self, version: i64, connection: &Connection) {
        if version != self.version {
            *self = Self::of(version);
            connection.flush_prepared_statement_cache();
        }
    }

    pub(crate) fn names(&mut self, connection: &Connection) -> Result<&[LdbTable], Error> {
        let names = match self.names.take() {
            Some(names) => names,
            None => schema::names(connection)?,
        };
        Ok(self.names.insert(names))
    }

    #[inline]
    pub(crate) fn table(
        &mut self,
        connection: &Connection,
        at: Place<'_>,
    ) -> Result<&mut Table, Error> {
        let last = self.tables.get(self.last.place).filter(|_| self.last.number == at.number);
        if last.is_some_and(|last| last.schema.table().table().as_str() == at.table) {
            let table = &mut self.tables[self.last.place];
            table.used = true;
            return Ok(table);
        }
        match self.places.get(at.number).and_then(|family| family.get(at.table)) {
            Some(&place) => {
                self.last = Last { number: at.number, place };
                let table = &mut self.tables[place];
                table.used = true;
                Ok(table)
            }
            None => self.load(connection, at),
        }
    }

    #[cold]
    fn load(&mut self, connection: &Connection, at: Place<'_>) -> Result<&mut Table, Error> {
        let name = TableName::parse_folded(at.table)?;
        if self.places.len() <= at.number {
            self.places.resize_with(at.number + 1, HashMap::new);
        }
        let folded: Box<str> = Box::from(name.as_str());
        let place = match self.places[at.number].get(&folded) {
            Some(&place) => place,
            None => {
                self.make_room();
                let table = Table::load(connection, &LdbTable::new(at.family.clone(), name)?)?;
                self.tables.push(table);
                self.places[at.number].insert(folded, self.tables.len() - 1);
                self.tables.len() - 1
            }
        };
        Ok(&mut self.tables[place])
    }

    /// Lets go of the statements of tables that were not used since the last time, or of all.
    fn make_room(&mut self) {
        let count = |tables: &[Table]| tables.iter().map(Table::statements).sum::<usize>();
        if count(&self.tables) < MOST_STATEMENTS {
            return;
        }
        for table in &mut self.tables {
            if !std::mem::take(&mut table.used) {
                table.forget_statements();
            }
        }
        if count(&self.tables) >= MOST_STATEMENTS {
            self.tables.iter_mut().for_each(Table::forget_statements);
        }
    }
}
