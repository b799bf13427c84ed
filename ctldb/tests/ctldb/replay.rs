//! The ledger replayed as an agent does it: parsed, values bound by the columns' types, never run as text.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ctldb::{CtlDb, Live};
use ledger::{Column, ColumnType, LdbTable, Literal, Seq, Statement, TableSchema, Value};

use crate::place::{Place, ordered, rows_of};

/// An LDB in memory, and the tables that it holds.
pub(crate) struct Replayed {
    pub(crate) file: rusqlite::Connection,
    pub(crate) tables: BTreeMap<LdbTable, TableSchema>,
    /// The last sequence that changed each table's columns.
    pub(crate) schema_seqs: BTreeMap<LdbTable, Seq>,
    last: Seq,
}

impl Replayed {
    pub(crate) fn nothing() -> Result<Self> {
        Ok(Self {
            file: rusqlite::Connection::open_in_memory()?,
            tables: BTreeMap::new(),
            schema_seqs: BTreeMap::new(),
            last: Seq::ZERO,
        })
    }

    pub(crate) async fn of(ctldb: &CtlDb) -> Result<Self> {
        let mut replayed = Self::nothing()?;
        replayed.follow(ctldb).await?;
        Ok(replayed)
    }

    /// Applies what came since.
    pub(crate) async fn follow(&mut self, ctldb: &CtlDb) -> Result<()> {
        for entry in ctldb.entries(self.last, 1_000_000).await? {
            let statement = Statement::parse(&entry.statement)?;
            self.apply(entry.seq, &statement).with_context(|| entry.statement.clone())?;
            self.last = entry.seq;
        }
        Ok(())
    }

    fn apply(&mut self, seq: Seq, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Begin | Statement::Commit => {}
            Statement::CreateTable(schema) => {
                // Trusted here only for what it is: DDL has no values.
                self.file.execute_batch(&statement.to_string())?;
                self.schema_seqs.insert(schema.table().clone(), seq);
                let before = self.tables.insert(schema.table().clone(), schema.clone());
                ensure!(before.is_none(), "made twice");
            }
            Statement::AddColumn { table, column } => {
                self.file.execute_batch(&statement.to_string())?;
                self.schema_seqs.insert(table.clone(), seq);
                let wide = self.schema(table)?.with_columns([column.clone()])?;
                self.tables.insert(table.clone(), wide);
            }
            Statement::DropTable(table) => {
                self.file.execute_batch(&statement.to_string())?;
                self.schema_seqs.remove(table);
                ensure!(self.tables.remove(table).is_some(), "dropped twice");
            }
            Statement::ClearTable(table) => {
                self.file.execute(&format!("DELETE FROM {table}"), [])?;
            }
            Statement::Upsert { table, columns, values } => {
                let schema = self.schema(table)?;
                let names: Vec<_> = columns.iter().map(|name| format!("\"{name}\"")).collect();
                let places = vec!["?"; names.len()].join(",");
                let sql = format!("REPLACE INTO {table} ({}) VALUES ({places})", names.join(","));
                let bind = |(name, literal)| bound(schema.column(name), literal);
                let values: Vec<_> = columns.iter().zip(values).map(bind).collect::<Result<_>>()?;
                self.file.execute(&sql, rusqlite::params_from_iter(values))?;
            }
            Statement::Delete { table, key } => {
                let schema = self.schema(table)?;
                let terms: Vec<_> = key.iter().map(|(name, _)| format!("\"{name}\" = ?")).collect();
                let sql = format!("DELETE FROM {table} WHERE {}", terms.join(" AND "));
                let bind = |(name, literal): &(_, _)| bound(schema.column(name), literal);
                let values: Vec<_> = key.iter().map(bind).collect::<Result<_>>()?;
                self.file.execute(&sql, rusqlite::params_from_iter(values))?;
            }
        }
        Ok(())
    }

    fn schema(&self, table: &LdbTable) -> Result<TableSchema> {
        self.tables.get(table).cloned().context("no such table")
    }

    pub(crate) fn rows(&self, schema: &TableSchema) -> Result<Vec<Vec<Value>>> {
        rows_of(&self.file, &ordered(schema))
    }
}

/// A literal as the column takes it.
fn bound(column: Option<&Column>, literal: &Literal) -> Result<rusqlite::types::Value> {
    use rusqlite::types::Value as Sql;
    let column = column.context("no such column")?;
    Ok(match literal {
        Literal::Null => Sql::Null,
        Literal::Bool(truth) => Sql::Integer((*truth).into()),
        Literal::Integer(int) => Sql::Integer(*int),
        Literal::Real(real) => Sql::Real(*real),
        Literal::Text(text) => Sql::Text(text.clone()),
        Literal::Hex(bytes) => match column.column_type {
            ColumnType::String | ColumnType::Text => Sql::Text(String::from_utf8(bytes.clone())?),
            _ => Sql::Blob(bytes.clone()),
        },
    })
}

/// Registry, database, ledger and chain say the same.
pub(crate) async fn consistent(place: &Place, ctldb: &CtlDb) -> Result<()> {
    let replayed = Replayed::of(ctldb).await?;
    let records = ctldb.tables(None).await?;
    let names: Vec<_> = records.iter().map(|record| record.schema.table()).collect();
    assert_eq!(names, replayed.tables.keys().collect::<Vec<_>>(), "registry and ledger differ");
    for record in &records {
        let table = record.schema.table();
        assert_eq!(record.intent, None, "an intent is left");
        assert_eq!(Some(&record.schema), replayed.tables.get(table));
        assert_eq!(Some(&record.schema_seq), replayed.schema_seqs.get(table));
        assert_eq!(ctldb.live(table).await?, Live::Table(record.schema.clone()));
        let rows = (place.mirror(&record.schema).await?, replayed.rows(&record.schema)?);
        assert_eq!(sorted(rows.0), sorted(rows.1), "rows and ledger differ");
    }
    ctldb.verify().await?;
    Ok(())
}

/// In an order that does not depend on who sorted.
pub(crate) fn sorted(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}
