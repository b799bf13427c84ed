//! What is in an LDB, value by value with its storage class, and what a naive replay makes of a ledger.

use std::collections::BTreeMap;
use std::path::Path;

use ::ledger::{Entry, LdbTable, Statement};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

/// Table to its rows, sorted.
pub(crate) type Content = BTreeMap<String, Vec<String>>;

pub(crate) fn of_ldb(dir: &Path) -> Content {
    of(&open(dir))
}

pub(crate) fn open(dir: &Path) -> Connection {
    let file = dir.join("ldb.db");
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

pub(crate) fn of(connection: &Connection) -> Content {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut names = connection.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let tables = names.into_iter().filter(|name| LdbTable::parse(name).is_ok());
    tables.map(|name| (name.clone(), rows(connection, &name))).collect()
}

fn rows(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
    let columns: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
    let row = |row: &rusqlite::Row<'_>| {
        let values = columns.iter().enumerate().map(|(index, name)| {
            let value: Value = row.get(index)?;
            Ok(format!("{name}={value:?}"))
        });
        Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
    };
    let mut rows: Vec<String> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

/// Runs the text of each entry as it is, which is what the original's reflector does.
pub(crate) struct Naive {
    connection: Connection,
    seq: u64,
}

impl Naive {
    pub(crate) fn new() -> Self {
        Self { connection: Connection::open_in_memory().unwrap(), seq: 0 }
    }

    /// Up to and with this sequence.
    pub(crate) fn replay(&mut self, entries: &[Entry], to: u64) -> Content {
        let from = entries.partition_point(|entry| entry.seq.get() <= self.seq);
        for entry in entries[from..].iter().take_while(|entry| entry.seq.get() <= to) {
            let marker = [Statement::BEGIN, Statement::COMMIT].contains(&entry.statement.as_str());
            if !marker {
                self.connection.execute(&entry.statement, []).unwrap();
            }
        }
        self.seq = to;
        of(&self.connection)
    }
}

pub(crate) fn naive(entries: &[Entry]) -> Content {
    Naive::new().replay(entries, u64::MAX)
}
