//! Statements of the ledger as prepared statements of SQLite: the text has names only, values are bound.

use ledger::{ColumnName, LdbTable, Literal, Statement, TableSchema};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use crate::ldb::schema::Columns;

/// Runs a statement. `Begin` and `Commit` are the caller's.
pub(crate) fn run(
    connection: &Connection,
    columns: &mut Columns,
    statement: &Statement,
) -> rusqlite::Result<()> {
    match statement {
        Statement::Begin | Statement::Commit => Ok(()),
        Statement::Upsert { table, columns: names, values } => {
            let bound = names.iter().zip(values);
            let bound = bind(connection, columns, table, bound)?;
            let mut prepared = connection.prepare_cached(&upsert(table, names))?;
            prepared.execute(params_from_iter(bound)).map(|_| ())
        }
        Statement::Delete { table, key } => {
            let bound = key.iter().map(|(name, value)| (name, value));
            let bound = bind(connection, columns, table, bound)?;
            let mut prepared = connection.prepare_cached(&delete(table, key))?;
            prepared.execute(params_from_iter(bound)).map(|_| ())
        }
        Statement::ClearTable(table) => {
            connection.prepare_cached(&format!("DELETE FROM \"{table}\""))?.execute([]).map(|_| ())
        }
        Statement::CreateTable(_) | Statement::AddColumn { .. } | Statement::DropTable(_) => {
            columns.forget();
            connection.execute(&ddl(statement), []).map(|_| ())
        }
    }
}

fn upsert(table: &LdbTable, names: &[ColumnName]) -> String {
    let mut sql = begun("REPLACE INTO", table, names.len());
    sql += " (";
    for (index, name) in names.iter().enumerate() {
        sql += if index == 0 { "\"" } else { ",\"" };
        sql += name.as_str();
        sql += "\"";
    }
    sql += ") VALUES(";
    for index in 0..names.len() {
        sql += if index == 0 { "?" } else { ",?" };
    }
    sql + ")"
}

fn delete(table: &LdbTable, key: &[(ColumnName, Literal)]) -> String {
    let mut sql = begun("DELETE FROM", table, key.len());
    sql += " WHERE ";
    for (index, (name, _)) in key.iter().enumerate() {
        sql += if index == 0 { "\"" } else { " AND \"" };
        sql += name.as_str();
        sql += "\" = ?";
    }
    sql
}

/// With room for most texts: growing one costs as much as writing it.
fn begun(verb: &str, table: &LdbTable, columns: usize) -> String {
    let mut sql = String::with_capacity(96 + 24 * columns);
    sql += verb;
    sql += " \"";
    sql += table.family().as_str();
    sql += LdbTable::SEPARATOR;
    sql += table.table().as_str();
    sql += "\"";
    sql
}

fn ddl(statement: &Statement) -> String {
    match statement {
        Statement::CreateTable(schema) => {
            let text = statement.to_string();
            // Smaller and faster, where rows are small and SQLite would keep a key beside the row's number.
            let text = text.trim_end_matches(';');
            if without_rowid(schema) { format!("{text} WITHOUT ROWID") } else { text.to_owned() }
        }
        other => other.to_string(),
    }
}

fn without_rowid(schema: &TableSchema) -> bool {
    use ledger::ColumnType::{Binary, Text};
    let large = |column: &ledger::Column| matches!(column.column_type, Text | Binary);
    !schema.has_integer_key() && !schema.columns().iter().any(large)
}

/// The values as the columns take them.
pub(crate) fn bind<'a>(
    connection: &Connection,
    columns: &mut Columns,
    table: &LdbTable,
    values: impl Iterator<Item = (&'a ColumnName, &'a Literal)>,
) -> rusqlite::Result<Vec<Bound<'a>>> {
    let mut bound = Vec::with_capacity(values.size_hint().0);
    for (name, value) in values {
        bound.push(match value {
            // Text that has a NUL, which the original would store as bytes; our one difference in content.
            Literal::Hex(bytes) if columns.is_text(connection, table, name)? => {
                Bound(ToSqlOutput::Borrowed(match std::str::from_utf8(bytes) {
                    Ok(text) => ValueRef::Text(text.as_bytes()),
                    Err(_) => ValueRef::Blob(bytes),
                }))
            }
            other => plain(other),
        });
    }
    Ok(bound)
}

/// A value of a statement.
pub(crate) struct Bound<'a>(ToSqlOutput<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.clone())
    }
}

fn plain(literal: &Literal) -> Bound<'_> {
    Bound(match literal {
        Literal::Null => ToSqlOutput::Owned(Value::Null),
        Literal::Bool(truth) => ToSqlOutput::Owned(Value::Integer((*truth).into())),
        Literal::Integer(integer) => ToSqlOutput::Owned(Value::Integer(*integer)),
        Literal::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
        Literal::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        Literal::Hex(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
    })
}
