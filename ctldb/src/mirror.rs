//! Rows of the mirror tables, written with bound, typed parameters. The ledger's text is never run here: MySQL would
//! read its decimals as DECIMAL and lose 5e-324 and 1e100.

use ledger::{Mutation, TableSchema};

use crate::connection::SqlValue;
use crate::dialect::quoted;
use crate::session::Session;
use crate::{Error, TableMutation};

impl Session {
    pub(crate) async fn write_row(&mut self, change: &TableMutation) -> Result<(), Error> {
        let TableMutation { schema, mutation } = change;
        let (sql, values) = match mutation {
            Mutation::Upsert(row) => (upsert(schema), row.values()),
            Mutation::Delete(key) => (delete(schema), key.values()),
        };
        let params: Vec<SqlValue> = values.iter().map(SqlValue::from).collect();
        let written = self.run(&sql, &params).await;
        written.map_err(|fault| Error::statement("write a row", fault))?;
        self.pass("mutate: a row was written")
    }
}

/// A whole row takes the place of the one with the same key.
fn upsert(schema: &TableSchema) -> String {
    let names: Vec<_> = schema.columns().iter().map(|column| quoted(&column.name)).collect();
    let places = vec!["?"; names.len()].join(", ");
    format!("REPLACE INTO {} ({}) VALUES ({places})", quoted(schema.table()), names.join(", "))
}

fn delete(schema: &TableSchema) -> String {
    let key: Vec<_> = schema.key().iter().map(|name| format!("{} = ?", quoted(name))).collect();
    format!("DELETE FROM {} WHERE {}", quoted(schema.table()), key.join(" AND "))
}
