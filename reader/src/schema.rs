//! The tables of an LDB as the file itself describes them, and the statements to read them. Everything is quoted: a
//! column may be called `order`.

use std::sync::Arc;

use ledger::{Column, ColumnName, ColumnType, LdbTable, TableSchema};
use rusqlite::Connection;

use crate::Error;

/// A table and its statements.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Arc<TableSchema>,
    /// `selects[n]` reads by the first `n` columns of the key.
    pub(crate) selects: Vec<String>,
}

impl Table {
    /// Reads what the file says about a table. Must run in the transaction that then uses it.
    pub(crate) fn load(connection: &Connection, name: &LdbTable) -> Result<Self, Error> {
        let mut columns = Vec::new();
        let mut key: Vec<(i64, ColumnName)> = Vec::new();
        let mut statement =
            connection.prepare_cached("SELECT name, type, pk FROM pragma_table_info(?1)")?;
        let mut rows = statement.query([name.to_string()])?;
        while let Some(row) = rows.next()? {
            let column = column(name, &row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?;
            match row.get(2)? {
                0 => {}
                place => key.push((place, column.name.clone())),
            }
            columns.push(column);
        }
        if columns.is_empty() {
            return Err(Error::UnknownTable { table: name.clone() });
        }
        key.sort();
        let key = key.into_iter().map(|(_, column)| column).collect();
        let schema = TableSchema::new(name.clone(), columns, key)
            .map_err(|error| foreign(name, error.to_string()))?;
        let selects = (0..=schema.key().len()).map(|count| select(&schema, count)).collect();
        Ok(Self { schema: Arc::new(schema), selects })
    }

    /// The refusal of a key of so many values.
    pub(crate) fn key_count(&self, got: usize) -> Error {
        let schema = &self.schema;
        Error::KeyCount { table: schema.table().clone(), key: schema.key().to_vec(), got }
    }
}

/// The names of all tables of ours, in order.
pub(crate) fn names(connection: &Connection) -> Result<Vec<LdbTable>, Error> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut statement = connection.prepare_cached(sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut tables = Vec::new();
    for name in names {
        tables.extend(LdbTable::parse(&name?).ok());
    }
    tables.sort();
    Ok(tables)
}

fn column(table: &LdbTable, name: &str, declared: &str) -> Result<Column, Error> {
    let name = ColumnName::parse(name).map_err(|error| foreign(table, error.to_string()))?;
    match ColumnType::from_sqlite(declared) {
        Some(column_type) => Ok(Column { name, column_type }),
        None => Err(foreign(table, format!("column {:?} is of type {declared:?}", name.as_str()))),
    }
}

fn foreign(table: &LdbTable, what: String) -> Error {
    Error::ForeignTable { table: table.clone(), what }
}

/// Rows come in the order of the key.
fn select(schema: &TableSchema, count: usize) -> String {
    let quoted = |name: &ColumnName| format!("\"{name}\"");
    let columns: Vec<_> = schema.columns().iter().map(|column| quoted(&column.name)).collect();
    let key: Vec<_> = schema.key().iter().map(quoted).collect();
    let table = schema.table();
    let mut sql = format!("SELECT {} FROM \"{table}\"", columns.join(", "));
    for (index, column) in key.iter().take(count).enumerate() {
        sql += if index == 0 { " WHERE " } else { " AND " };
        sql += &format!("{column} = ?{}", index + 1);
    }
    if count < key.len() {
        sql += &format!(" ORDER BY {}", key[count..].join(", "));
    }
    sql
}
