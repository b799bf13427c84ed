//! What is in the file besides rows: our own tables, and nothing that ctlstore would not have made.

use std::collections::HashMap;
use std::path::Path;

use ledger::{ColumnName, ColumnType, LdbTable};
use reader::layout;
use rusqlite::Connection;

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

/// The types of columns, looked up once per table and forgotten when a table changes.
#[derive(Debug, Default)]
pub(crate) struct Columns(HashMap<LdbTable, HashMap<ColumnName, ColumnType>>);

impl Columns {
    /// Is it a column of text? A table or column that is not there is none.
    pub(crate) fn is_text(
        &mut self,
        connection: &Connection,
        table: &LdbTable,
        column: &ColumnName,
    ) -> rusqlite::Result<bool> {
        if !self.0.contains_key(table) {
            let columns = load(connection, table)?;
            self.0.insert(table.clone(), columns);
        }
        let known = self.0.get(table).and_then(|columns| columns.get(column));
        Ok(known.is_some_and(|column_type| column_type.is_text()))
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

fn load(
    connection: &Connection,
    table: &LdbTable,
) -> rusqlite::Result<HashMap<ColumnName, ColumnType>> {
    // A table name has no quote, so it can stand between two.
    let mut statement = connection.prepare(&format!("PRAGMA table_info(\"{table}\")"))?;
    let rows = statement.query_map([], |row| Ok((row.get(1)?, row.get(2)?)))?;
    let mut columns = HashMap::new();
    for row in rows {
        let (name, declared): (String, String) = row?;
        if let (Ok(name), Some(column_type)) =
            (ColumnName::parse(&name), ColumnType::from_sqlite(&declared))
        {
            columns.insert(name, column_type);
        }
    }
    Ok(columns)
}
