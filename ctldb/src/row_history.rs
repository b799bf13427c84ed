//! The versions of a row that are still in the ledger: what it was, when, by whom and why.
//!
//! The ledger has no index by row, so it is read backwards, in pieces of which the database sends only what concerns the
//! table. Texts are parsed and keys compared as values: a text of the original that spells a key otherwise is found too.

use ledger::{
    ColumnName, ColumnType, Entry, Key, LeaderTs, Literal, Seq, Statement, TableSchema, Value,
};

use crate::connection::SqlValue;
use crate::session::Session;
use crate::{BatchRecord, CtlDb, Error, reads};

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOperation {
    /// It was written.
    Upsert,
    /// It was deleted.
    Delete,
    /// All rows of its table were deleted.
    Clear,
    /// Its table was dropped.
    Drop,
}

/// A version of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowVersion {
    /// The entry that made it so.
    pub seq: Seq,
    /// When.
    pub at: LeaderTs,
    /// What was done.
    pub operation: RowOperation,
    /// The row's values from then on, by column; none of a row that was deleted.
    pub values: Vec<(ColumnName, Value)>,
    /// Who did it; none of what the original wrote.
    pub batch: Option<BatchRecord>,
}

/// Sequences looked at by one query, and entries sent by it.
const SPAN: u64 = 50_000;
const PAGE: u32 = 500;
const ACTION: &str = "read the versions of a row";

impl CtlDb {
    /// The versions of a row that are still in the ledger, the newest first, at most so many.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn row_history(
        &self,
        schema: &TableSchema,
        key: &Key,
        limit: usize,
    ) -> Result<Vec<RowVersion>, Error> {
        let mut session = self.session().await?;
        let meta = session.meta().await?;
        let mut versions = Vec::new();
        let mut high = meta.last_seq();
        while high > meta.pruned_through && versions.len() < limit {
            let (entries, low) = session.concerning(schema, high).await?;
            for entry in &entries {
                let Some((operation, values)) = version(entry, schema, key) else { continue };
                let Entry { seq, leader_ts, .. } = *entry;
                let batch = session.batch_records(seq, seq).await?.pop();
                versions.push(RowVersion { seq, at: leader_ts, operation, values, batch });
                if versions.len() == limit {
                    break;
                }
            }
            high = low;
        }
        Ok(versions)
    }
}

impl Session {
    /// Entries that may concern the table, from `high` downwards, and where to go on.
    async fn concerning(
        &mut self,
        schema: &TableSchema,
        high: Seq,
    ) -> Result<(Vec<Entry>, Seq), Error> {
        let table = schema.table();
        let low = Seq::new(high.get().saturating_sub(SPAN)).unwrap_or(Seq::ZERO);
        let time = self.dialect().leader_ts();
        // Of a LIKE pattern, the underscore is any character: the parser looks closer.
        let sql = format!(
            "SELECT seq, {time}, statement FROM ctlstore_dml_ledger WHERE seq > ? AND seq <= ? AND (statement LIKE ? OR statement LIKE ? OR statement LIKE ?) ORDER BY seq DESC LIMIT ?"
        );
        let params: [SqlValue; 6] = [
            low.to_i64().into(),
            high.to_i64().into(),
            format!("REPLACE INTO {table} (%").into(),
            format!("DELETE FROM {table}%").into(),
            format!("DROP TABLE IF EXISTS {table}%").into(),
            i64::from(PAGE).into(),
        ];
        let rows = self.query(ACTION, &sql, &params).await?;
        let entries = rows.iter().map(reads::read).collect::<Result<Vec<_>, _>>()?;
        let low = match entries.last() {
            Some(last) if u32::try_from(entries.len()).is_ok_and(|count| count == PAGE) => {
                last.seq.before()
            }
            Some(_) | None => low,
        };
        Ok((entries, low))
    }
}

/// What an entry made of the row; none if it does not concern it. What is outside the grammar concerns nobody.
fn version(
    entry: &Entry,
    schema: &TableSchema,
    key: &Key,
) -> Option<(RowOperation, Vec<(ColumnName, Value)>)> {
    let statement = Statement::parse(&entry.statement).ok()?;
    if statement.table() != Some(schema.table()) {
        return None;
    }
    match statement {
        Statement::Upsert { columns, values, .. } => {
            let values = columns.into_iter().zip(values).map(|(name, value)| {
                let value = typed(value, schema, &name);
                (name, value)
            });
            let values: Vec<_> = values.collect();
            is_of(&values, schema, key).then_some((RowOperation::Upsert, values))
        }
        Statement::Delete { key: which, .. } => {
            let which = which.into_iter().map(|(name, value)| {
                let value = typed(value, schema, &name);
                (name, value)
            });
            let which: Vec<_> = which.collect();
            is_of(&which, schema, key).then_some((RowOperation::Delete, Vec::new()))
        }
        Statement::ClearTable(_) => Some((RowOperation::Clear, Vec::new())),
        Statement::DropTable(_) => Some((RowOperation::Drop, Vec::new())),
        Statement::Begin
        | Statement::Commit
        | Statement::CreateTable(_)
        | Statement::AddColumn { .. } => None,
    }
}

fn is_of(values: &[(ColumnName, Value)], schema: &TableSchema, key: &Key) -> bool {
    let has = |(column, wanted): (&ColumnName, &Value)| {
        values.iter().any(|(name, value)| name == column && value == wanted)
    };
    schema.key().iter().zip(key.values()).all(has)
}

/// The value that a literal becomes in its column.
fn typed(literal: Literal, schema: &TableSchema, name: &ColumnName) -> Value {
    let text = |literal: &Literal| match literal {
        Literal::Bool(truth) => i64::from(*truth).to_string(),
        other => other.to_string(),
    };
    let bytes = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Bytes(error.into_bytes()),
    };
    match (schema.column(name).map(|column| column.column_type), literal) {
        (_, Literal::Null) => Value::Null,
        (Some(ColumnType::String | ColumnType::Text), Literal::Hex(hex)) => bytes(hex),
        (Some(ColumnType::String | ColumnType::Text), Literal::Text(text)) => Value::Text(text),
        (Some(ColumnType::String | ColumnType::Text), other) => Value::Text(text(&other)),
        (Some(ColumnType::Decimal), Literal::Text(given)) => match given.parse() {
            Ok(number) => Value::Decimal(number),
            Err(_) => Value::Text(given),
        },
        (Some(ColumnType::Decimal), number @ (Literal::Integer(_) | Literal::Bool(_))) => {
            text(&number).parse().map_or(Value::Null, Value::Decimal)
        }
        (Some(ColumnType::Integer), Literal::Text(given)) => match given.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Text(given),
        },
        (_, Literal::Bool(truth)) => Value::Integer(i64::from(truth)),
        (_, Literal::Integer(number)) => Value::Integer(number),
        (_, Literal::Real(number)) => Value::Decimal(number),
        (_, Literal::Text(text)) => Value::Text(text),
        (_, Literal::Hex(hex)) => Value::Bytes(hex),
    }
}
