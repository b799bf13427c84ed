//! Rows of the mirror tables, written with bound, typed parameters. The ledger's text is never run here: MySQL would
//! read its decimals as DECIMAL and lose 5e-324 and 1e100.

use ledger::{Mutation, TableSchema, Value};

use crate::append::{CHUNK_BYTES, CHUNK_ROWS, chunk};
use crate::connection::SqlValue;
use crate::dialect::quoted;
use crate::session::Session;
use crate::{Error, TableMutation};

/// Parameters of one statement; SQLite takes 32,766.
const MAX_PARAMS: usize = 32_000;

impl Session {
    /// Writes rows in their order. Upserts of one table that follow each other go together: each round trip is made under
    /// the lock for which all writers wait.
    pub(crate) async fn write_rows(&mut self, mut changes: &[&TableMutation]) -> Result<(), Error> {
        while let Some(TableMutation { schema, mutation }) = changes.first() {
            let (sql, count) = match mutation {
                Mutation::Upsert(_) => {
                    let count = chunk(upserts(changes));
                    (upsert(schema, count), count)
                }
                Mutation::Delete(_) => (delete(schema), 1),
            };
            let (now, rest) = changes.split_at(count);
            let params: Vec<SqlValue> =
                now.iter().flat_map(|change| values(change)).map(SqlValue::from).collect();
            let written = self.run(&sql, &params).await;
            written.map_err(|fault| Error::statement("write a row", fault))?;
            self.pass("mutate: a row was written")?;
            changes = rest;
        }
        Ok(())
    }
}

fn values(change: &TableMutation) -> &[Value] {
    match &change.mutation {
        Mutation::Upsert(row) => row.values(),
        Mutation::Delete(key) => key.values(),
    }
}

/// How many upserts of one table stand at the front, as many as one statement takes.
fn upserts(changes: &[&TableMutation]) -> usize {
    let Some(TableMutation { schema, .. }) = changes.first() else { return 0 };
    let most = (MAX_PARAMS / schema.columns().len().max(1)).clamp(1, CHUNK_ROWS);
    let mut bytes = 0;
    let together = |change: &&&TableMutation| {
        bytes += values(change).iter().map(size).sum::<usize>();
        // With the same columns: of two batches one may have been checked before a change of the table.
        let same = change.schema == *schema;
        same && matches!(change.mutation, Mutation::Upsert(_)) && bytes <= CHUNK_BYTES
    };
    changes.iter().take(most).take_while(together).count()
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) | Value::Decimal(_) => 8,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    }
}

/// A whole row takes the place of the one with the same key; of several with the same key, the last one stays.
fn upsert(schema: &TableSchema, rows: usize) -> String {
    let names: Vec<_> = schema.columns().iter().map(|column| quoted(&column.name)).collect();
    let row = format!("({})", vec!["?"; names.len()].join(", "));
    let rows = vec![row; rows].join(", ");
    format!("REPLACE INTO {} ({}) VALUES {rows}", quoted(schema.table()), names.join(", "))
}

fn delete(schema: &TableSchema) -> String {
    let key: Vec<_> = schema.key().iter().map(|name| format!("{} = ?", quoted(name))).collect();
    format!("DELETE FROM {} WHERE {}", quoted(schema.table()), key.join(" AND "))
}
