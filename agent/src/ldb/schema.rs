//! What is in the file besides rows: our own tables, and nothing that ctlstore would not have made.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ledger::{Column, ColumnName, ColumnType, LdbTable};
use reader::layout;
use rusqlite::Connection;

use crate::changes::Table;
use crate::ldb::Error;
use crate::ldb::authorize::OWN;

/// Makes our own tables where they are missing.
pub(crate) fn create(connection: &Connection) -> Result<(), Error> {
    for sql in [layout::CREATE_SEQ, layout::CREATE_LAST_UPDATE, layout::CREATE_META] {
        connection.execute(sql, []).map_err(Error::sqlite("make tables in"))?;
    }
    Ok(())
}

/// Refuses a file with triggers, views or tables that are nobody's: someone else wrote it.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let read = || {
        let mut statement = connection.prepare("SELECT type, name FROM sqlite_schema")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<(String, String)>>>()
    };
    let is_known = |kind: &str, name: &str| match kind {
        "table" => {
            OWN.contains(&name) || name.starts_with("sqlite_stat") || LdbTable::parse(name).is_ok()
        }
        "index" => name.starts_with("sqlite_autoindex_"),
        _ => false,
    };
    let found = read().map_err(Error::sqlite("read"))?;
    let unknown = found.iter().filter(|(kind, name)| !is_known(kind, name));
    let unknown: Vec<_> = unknown.map(|(kind, name)| format!("the {kind} {name:?}")).collect();
    if !unknown.is_empty() {
        let what = format!("it has {}", unknown.join(", "));
        return Err(Error::Foreign { path: path.to_owned(), what });
    }
    Ok(())
}

/// What tables are like, looked up once per table and forgotten when a table changes.
#[derive(Debug, Default)]
pub(crate) struct Columns(HashMap<LdbTable, Known>);

#[derive(Debug)]
struct Known {
    types: HashMap<ColumnName, ColumnType>,
    table: Arc<Table>,
}

impl Columns {
    /// Is it a column of text? A table or column that is not there is none.
    pub(crate) fn is_text(
        &mut self,
        connection: &Connection,
        table: &LdbTable,
        column: &ColumnName,
    ) -> rusqlite::Result<bool> {
        let known = self.known(connection, table)?.types.get(column);
        Ok(known.is_some_and(|column_type| column_type.is_text()))
    }

    /// A table and its key. One that is not there has none.
    pub(crate) fn table(
        &mut self,
        connection: &Connection,
        table: &LdbTable,
    ) -> rusqlite::Result<Arc<Table>> {
        self.known(connection, table).map(|known| Arc::clone(&known.table))
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    fn known(&mut self, connection: &Connection, table: &LdbTable) -> rusqlite::Result<&Known> {
        if !self.0.contains_key(table) {
            let known = load(connection, table)?;
            self.0.insert(table.clone(), known);
        }
        Ok(self.0.get(table).expect("BUG: it was just inserted"))
    }
}

fn load(connection: &Connection, table: &LdbTable) -> rusqlite::Result<Known> {
    // A table name has no quote, so it can stand between two.
    let mut statement = connection.prepare(&format!("PRAGMA table_info(\"{table}\")"))?;
    let rows = statement.query_map([], |row| Ok((row.get(1)?, row.get(2)?, row.get(5)?)))?;
    let (mut types, mut key) = (HashMap::new(), Vec::new());
    for row in rows {
        let (name, declared, place): (String, String, i64) = row?;
        if let (Ok(name), Some(column_type)) =
            (ColumnName::parse(&name), ColumnType::from_sqlite(&declared))
        {
            types.insert(name.clone(), column_type);
            if let Some(place) = place.checked_sub(1).and_then(|place| usize::try_from(place).ok())
            {
                key.push((place, Column { name, column_type }));
            }
        }
    }
    Ok(Known { types, table: Arc::new(Table::new(table.clone(), key)) })
}
