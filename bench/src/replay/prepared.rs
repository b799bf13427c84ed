//! The least that a loop can do: read an entry, read its statement, bind its values to a prepared statement, and commit
//! once at the end.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use ledger::{ColumnName, LdbTable, Literal, Statement};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params, params_from_iter};

/// Until all of it is committed.
pub(super) fn run(ledger: &Path, ldb: &Path) -> Result<Duration> {
    let start = Instant::now();
    let source = Connection::open(ledger)?;
    let mut target = super::open(ldb)?;
    target.set_prepared_statement_cache_capacity(256);
    target.execute_batch("CREATE TABLE _ldb_seq (id INTEGER PRIMARY KEY NOT NULL, seq BIGINT)")?;
    let transaction = target.transaction()?;
    let mut select =
        source.prepare("SELECT seq, statement FROM ctlstore_dml_ledger ORDER BY seq")?;
    let mut rows = select.query([])?;
    let mut last: i64 = 0;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        apply(&transaction, row.get_ref(1)?.as_str()?)?;
    }
    transaction.execute("REPLACE INTO _ldb_seq VALUES (1, ?)", params![last])?;
    transaction.commit()?;
    Ok(start.elapsed())
}

fn apply(target: &Connection, text: &str) -> Result<()> {
    match Statement::parse(text)? {
        Statement::Begin | Statement::Commit => {}
        Statement::Upsert { table, columns, values } => {
            let mut prepared = target.prepare_cached(&upsert(&table, &columns)?)?;
            prepared.execute(params_from_iter(values.iter().map(Bound)))?;
        }
        Statement::Delete { table, key } => {
            let mut prepared = target.prepare_cached(&delete(&table, &key)?)?;
            prepared.execute(params_from_iter(key.iter().map(|(_, value)| Bound(value))))?;
        }
        // As the agent makes them.
        Statement::CreateTable(schema) if !schema.has_integer_key() => {
            target.execute(&format!("{} WITHOUT ROWID", text.trim_end_matches(';')), [])?;
        }
        Statement::CreateTable(_)
        | Statement::AddColumn { .. }
        | Statement::ClearTable(_)
        | Statement::DropTable(_) => {
            target.execute(text, [])?;
        }
    }
    Ok(())
}

fn upsert(table: &LdbTable, columns: &[ColumnName]) -> Result<String> {
    let mut sql = format!("REPLACE INTO \"{table}\" (");
    for (index, name) in columns.iter().enumerate() {
        write!(sql, "{}\"{name}\"", if index == 0 { "" } else { "," })?;
    }
    sql += ") VALUES (?";
    sql += &",?".repeat(columns.len() - 1);
    Ok(sql + ")")
}

fn delete(table: &LdbTable, key: &[(ColumnName, Literal)]) -> Result<String> {
    let mut sql = format!("DELETE FROM \"{table}\" WHERE ");
    for (index, (name, _)) in key.iter().enumerate() {
        write!(sql, "{}\"{name}\" = ?", if index == 0 { "" } else { " AND " })?;
    }
    Ok(sql)
}

struct Bound<'a>(&'a Literal);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Literal::Null => ToSqlOutput::Owned(Value::Null),
            Literal::Bool(truth) => ToSqlOutput::Owned(Value::Integer((*truth).into())),
            Literal::Integer(integer) => ToSqlOutput::Owned(Value::Integer(*integer)),
            Literal::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Literal::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Literal::Hex(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
