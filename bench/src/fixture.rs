//! A mixed ledger, made by ctldb itself: three tables, single writes, framed batches, deletes and new columns.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use ctldb::{
    Author, Batch, Credentials, CtlDb, Deletion, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind, Secret, TableMutation,
};
use ledger::{
    Column, ColumnName, ColumnType, CtlDbUrl, FamilyName, LdbTable, Mark, Mutation, Row, TableName,
    TableSchema, Value, WriterName,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const ROWS_PER_TABLE: u64 = 5_000;

/// Fills a new SQLite ctldb at `file` until its ledger has at least so many entries.
pub(crate) async fn mixed_ledger(file: &Path, entries: u64) -> Result<CtlDb> {
    Writes::new(file, entries).await.map(|writes| writes.ctldb)
}

/// A ledger and who writes it.
pub(crate) struct Writes {
    ctldb: CtlDb,
    family: FamilyName,
    credentials: Credentials,
    tables: Vec<Arc<TableSchema>>,
    random: StdRng,
}

impl Writes {
    /// A new SQLite ctldb at `file`, with at least so many entries.
    pub(crate) async fn new(file: &Path, entries: u64) -> Result<Self> {
        let ctldb = CtlDb::open(CtlDbUrl::Sqlite(file.to_owned()))?;
        ctldb.migrate().await.context("migrate")?;
        let family = FamilyName::parse("bench")?;
        ctldb.create_family(&family, Fence::Open).await?;
        let credentials = Credentials {
            writer: WriterName::parse("bench")?,
            secret: Secret::from("bench-secret".to_owned()),
        };
        ctldb.register_writer(&credentials.writer, &credentials.secret).await?;
        let mut tables = Vec::new();
        for (name, key) in [("strings", "String"), ("numbers", "Integer"), ("pairs", "Pair")] {
            tables.push(create(&ctldb, &family, name, key).await?);
        }
        let random = StdRng::seed_from_u64(7);
        let mut writes = Self { ctldb, family, credentials, tables, random };
        let mut seq = 0;
        while seq < entries {
            // Most writes are single rows; every fifth is a batch of up to twenty.
            let batch = writes.random.random_ratio(1, 5);
            let size = if batch { writes.random.random_range(2..=20) } else { 1 };
            seq = writes.write(size).await?.seq.get();
            if seq % 9_000 < size {
                writes.grow(seq).await?;
            }
        }
        Ok(writes)
    }

    /// Writes a batch of so many rows; where it stands in the ledger, once it is committed.
    pub(crate) async fn write(&mut self, size: u64) -> Result<Mark> {
        let Self { ctldb, family, credentials, tables, random } = self;
        let mutations = (0..size).map(|_| mutation(tables, random)).collect::<Result<_>>()?;
        let batch = Batch {
            family: family.clone(),
            credentials: credentials.clone(),
            cookie: None,
            check_cookie: None,
            mutations,
            author: Author::system("bench"),
        };
        Ok(ctldb.mutate(&batch).await.context("write a batch")?.mark)
    }

    async fn grow(&mut self, seq: u64) -> Result<()> {
        let index = self.random.random_range(0..self.tables.len());
        self.tables[index] = grow(&self.ctldb, &self.tables[index], seq).await?;
        Ok(())
    }
}

fn column(name: &str, column_type: ColumnType) -> Result<Column> {
    Ok(Column { name: ColumnName::parse(name)?, column_type })
}

async fn create(
    ctldb: &CtlDb,
    family: &FamilyName,
    name: &str,
    key: &str,
) -> Result<Arc<TableSchema>> {
    let table = LdbTable::new(family.clone(), TableName::parse(name)?)?;
    let mut columns = match key {
        "Integer" => vec![column("id", ColumnType::Integer)?],
        "Pair" => vec![column("id", ColumnType::String)?, column("part", ColumnType::Integer)?],
        _ => vec![column("id", ColumnType::String)?],
    };
    let key = columns.iter().map(|column| column.name.clone()).collect();
    columns.push(column("title", ColumnType::String)?);
    columns.push(column("amount", ColumnType::Integer)?);
    columns.push(column("rate", ColumnType::Decimal)?);
    let schema = TableSchema::new(table.clone(), columns, key)?;
    let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
    let kind = SchemaChangeKind::Create { schema: schema.clone(), owner };
    ctldb
        .change_schema(
            &SchemaChange { table, by: OwnerId::Executive, kind },
            &Author::system("bench"),
            Fence::Open,
        )
        .await?;
    Ok(Arc::new(schema))
}

async fn grow(ctldb: &CtlDb, schema: &TableSchema, seq: u64) -> Result<Arc<TableSchema>> {
    let added = vec![column(&format!("added_{seq}"), ColumnType::String)?];
    let change = SchemaChange {
        table: schema.table().clone(),
        by: OwnerId::Executive,
        kind: SchemaChangeKind::AddColumns(added.clone()),
    };
    ctldb.change_schema(&change, &Author::system("bench"), Fence::Open).await?;
    Ok(Arc::new(schema.with_columns(added)?))
}

fn mutation(tables: &[Arc<TableSchema>], random: &mut StdRng) -> Result<TableMutation> {
    let schema = &tables[random.random_range(0..tables.len())];
    let id = random.random_range(0..ROWS_PER_TABLE);
    let values = schema.columns().iter().map(|column| value(column, id, random));
    let row = Row::new(schema, values.collect())?;
    let mutation = if random.random_ratio(1, 8) {
        Mutation::Delete(row.key(schema))
    } else {
        Mutation::Upsert(row)
    };
    Ok(TableMutation { schema: Arc::clone(schema), mutation })
}

fn value(column: &Column, id: u64, random: &mut StdRng) -> Value {
    match (column.name.as_str(), column.column_type) {
        ("part", _) => Value::Integer(i64::from(id.is_multiple_of(3))),
        ("id", ColumnType::Integer) => Value::Integer(i64::try_from(id).unwrap_or(i64::MAX)),
        ("id", _) => Value::Text(format!("row-{id:08}")),
        (_, ColumnType::Integer) => Value::Integer(random.random()),
        (_, ColumnType::Decimal) => Value::Decimal(random.random()),
        _ => Value::Text(format!(
            "it's text number {:016x} for a row of a hundred bytes",
            random.random::<u64>()
        )),
    }
}
