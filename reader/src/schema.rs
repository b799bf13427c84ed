//! The tables of an LDB as the file itself describes them, and the statements to read them. Everything is quoted: a
//! column may be called `order`.

use std::ops::ControlFlow;
use std::sync::Arc;

use ledger::{Column, ColumnName, ColumnType, LdbTable, TableSchema};
use rusqlite::Connection;

use crate::statement::Statement;
use crate::{Error, KeyValue, ResumeKey, RowRef};

/// A table and the statements that read it, prepared when they are first used.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Arc<TableSchema>,
    /// The columns of the key, in its order, with their places in the table.
    key: Vec<(usize, Column)>,
    /// `by_prefix[n]` reads by the first `n` columns of the key.
    by_prefix: Vec<Option<Statement>>,
    /// The same, after a key.
    after: Vec<Option<Statement>>,
    /// Was it read from since somebody last looked here?
    pub(crate) used: bool,
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
        let place = |name: &ColumnName| {
            let columns = schema.columns().iter().enumerate();
            columns.map(|(place, column)| (place, column.clone())).find(|(_, c)| c.name == *name)
        };
        let key: Vec<_> = schema.key().iter().filter_map(place).collect();
        let statements = || (0..=key.len()).map(|_| None).collect();
        let (by_prefix, after) = (statements(), statements());
        Ok(Self { schema: Arc::new(schema), key, by_prefix, after, used: true })
    }

    /// How many statements it holds.
    pub(crate) fn statements(&self) -> usize {
        self.by_prefix.iter().chain(&self.after).flatten().count()
    }

    /// Drops them; they are prepared again when they are used.
    pub(crate) fn forget_statements(&mut self) {
        self.by_prefix.iter_mut().chain(&mut self.after).for_each(|held| *held = None);
    }

    /// Refuses a key of another length than the table's.
    pub(crate) fn check_whole_key(&self, key: &[KeyValue<'_>]) -> Result<(), Error> {
        if key.len() == self.key.len() { Ok(()) } else { Err(key_count(&self.schema, key.len())) }
    }

    /// Hands out the rows whose key begins with these values, in the order of the key, those after a row if one is given,
    /// until `each` breaks.
    pub(crate) fn each(
        &mut self,
        connection: &Connection,
        prefix: &[KeyValue<'_>],
        after: Option<&ResumeKey>,
        mut each: impl FnMut(RowRef<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let count = prefix.len();
        let after = match after {
            Some(after) => {
                Some(after.rest(self.key.len(), count).ok_or_else(|| self.wrong_resume())?)
            }
            None => None,
        };
        let held = if after.is_some() { &mut self.after } else { &mut self.by_prefix };
        let statement = match held.get_mut(count) {
            None => return Err(key_count(&self.schema, count)),
            Some(Some(held)) => held,
            Some(empty) => {
                let sql = select(&self.schema, count, after.is_some());
                empty.insert(Statement::prepare(connection, &sql)?)
            }
        };
        let (schema, key) = (&self.schema, &self.key);
        let given = prefix.iter().zip(key).map(|(value, (_, column))| {
            value.check(schema.table(), column)?;
            Ok(value.stored(column))
        });
        let after = after.into_iter().flatten().map(Ok);
        let mut cursor = statement.query(given.chain(after))?;
        while cursor.next()? {
            if each(RowRef::new(&cursor, schema, key))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn wrong_resume(&self) -> Error {
        Error::ResumeKey { table: self.schema.table().clone() }
    }
}

/// The refusal of a key of so many values.
fn key_count(schema: &TableSchema, got: usize) -> Error {
    Error::KeyCount { table: schema.table().clone(), key: schema.key().to_vec(), got }
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

pub(crate) fn foreign(table: &LdbTable, what: String) -> Error {
    Error::ForeignTable { table: table.clone(), what }
}

/// Rows come in the order of the key.
fn select(schema: &TableSchema, count: usize, after: bool) -> String {
    let quoted = |name: &ColumnName| format!("\"{name}\"");
    let columns: Vec<_> = schema.columns().iter().map(|column| quoted(&column.name)).collect();
    let key: Vec<_> = schema.key().iter().map(quoted).collect();
    let (given, rest) = key.split_at(count);
    let mut conditions: Vec<_> =
        given.iter().enumerate().map(|(index, name)| format!("{name} = ?{}", index + 1)).collect();
    if after {
        let places: Vec<_> = (count..key.len()).map(|index| format!("?{}", index + 1)).collect();
        conditions.push(format!("({}) > ({})", rest.join(", "), places.join(", ")));
    }
    let mut sql = format!("SELECT {} FROM \"{}\"", columns.join(", "), schema.table());
    if !conditions.is_empty() {
        sql += &format!(" WHERE {}", conditions.join(" AND "));
    }
    if !rest.is_empty() {
        sql += &format!(" ORDER BY {}", rest.join(", "));
    }
    sql
}
