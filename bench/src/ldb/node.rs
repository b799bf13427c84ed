//! A node: a ledger in SQLite, the released agent beside it, and a table of ten thousand rows of two hundred bytes.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ctldb::{
    Author, Batch, Credentials, CtlDb, Deletion, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind, Secret, TableMutation,
};
use ledger::{
    Column, ColumnName, ColumnType, CtlDbUrl, FamilyName, LdbTable, Mutation, Row, TableName,
    TableSchema, Value, WriterName,
};
use reader::Ldb;
use tokio::runtime::Runtime;

use crate::process::Agent;

/// The family.
pub(crate) const FAMILY: &str = "bench";
/// The table that is read.
pub(crate) const TABLE: &str = "points";
/// Its rows.
pub(crate) const ROWS: u32 = 10_000;

/// Rows of one batch.
const BATCH: u32 = 500;
const POLL: &str = "5ms";

/// The node. Dropping it ends the agent.
pub(crate) struct Node {
    agent: Agent,
    runtime: Runtime,
    ctldb: CtlDb,
    schema: Arc<TableSchema>,
    credentials: Credentials,
}

/// The key of a row.
pub(crate) fn key(number: u32) -> String {
    format!("row-{number:08}")
}

/// The text of a row: with key and number about two hundred bytes.
pub(crate) fn text(number: u32) -> String {
    format!("{number:08} {}", "the text of a row of two hundred bytes ".repeat(4))
}

impl Node {
    /// Starts all of it in this folder, and waits until the file has all rows.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let ledger = folder.join("ctldb.sqlite");
        let runtime = Runtime::new()?;
        let ctldb = CtlDb::open(CtlDbUrl::Sqlite(ledger.clone()))?;
        let credentials = Credentials {
            writer: WriterName::parse("bench")?,
            secret: Secret::from("bench-secret".to_owned()),
        };
        let schema = schema(TABLE)?;
        runtime.block_on(async {
            ctldb.migrate().await?;
            ctldb.create_family(schema.table().family(), Fence::Open).await?;
            ctldb.register_writer(&credentials.writer, &credentials.secret).await?;
            create(&ctldb, &schema).await
        })?;
        // It has the table.
        let agent = Agent::start(folder, &ledger, 1, POLL)?;
        let schema = Arc::new(schema);
        let node = Self { agent, runtime, ctldb, schema, credentials };
        let mut seq = 0;
        for first in (0..ROWS).step_by(usize::try_from(BATCH)?) {
            seq = node.write(first..first + BATCH)?;
        }
        node.wait(seq)?;
        Ok(node)
    }

    /// The LDB's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.agent.ldb_dir()
    }

    /// Where its agent serves reads.
    pub(crate) fn addr(&self) -> Result<std::net::SocketAddr> {
        self.agent.addr()
    }

    /// Writes these rows in one batch; returns its sequence.
    pub(crate) fn write(&self, numbers: std::ops::Range<u32>) -> Result<u64> {
        let row = |number| {
            let values = vec![
                Value::Text(key(number)),
                Value::Text(text(number)),
                Value::Integer(number.into()),
            ];
            let mutation = Mutation::Upsert(Row::new(&self.schema, values)?);
            anyhow::Ok(TableMutation { schema: Arc::clone(&self.schema), mutation })
        };
        let batch = Batch {
            family: self.schema.table().family().clone(),
            credentials: self.credentials.clone(),
            cookie: None,
            check_cookie: None,
            mutations: numbers.map(row).collect::<Result<_>>()?,
            author: Author::system("bench"),
        };
        let committed = self.runtime.block_on(self.ctldb.mutate(&batch));
        Ok(committed.context("write a batch")?.mark.seq.get())
    }

    /// Makes so many empty tables, and waits until the file has them.
    pub(crate) fn make_tables(&self, count: u32) -> Result<()> {
        for number in 0..count {
            let schema = schema(&format!("filler_{number:05}"))?;
            self.runtime.block_on(create(&self.ctldb, &schema))?;
        }
        let seq = self.write(0..1)?;
        self.wait(seq)
    }

    /// Adds a column to the table that is read; the file may have it some milliseconds later.
    pub(crate) fn add_column(&self, name: &str) -> Result<()> {
        let table = self.schema.table().clone();
        let column = Column { name: ColumnName::parse(name)?, column_type: ColumnType::String };
        let change = SchemaChange {
            table,
            by: OwnerId::Executive,
            kind: SchemaChangeKind::AddColumns(vec![column]),
        };
        self.runtime.block_on(self.ctldb.change_schema(
            &change,
            &Author::system("bench"),
            Fence::Open,
        ))?;
        Ok(())
    }

    fn wait(&self, seq: u64) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Ldb::open(self.dir()).and_then(|ldb| ldb.seq()).map_or(0, |at| at.get()) < seq {
            if Instant::now() > deadline {
                bail!("the agent did not reach sequence {seq} within a minute");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn schema(table: &str) -> Result<TableSchema> {
    let table = LdbTable::new(FamilyName::parse(FAMILY)?, TableName::parse(table)?)?;
    let column = |name: &str, column_type| {
        anyhow::Ok(Column { name: ColumnName::parse(name)?, column_type })
    };
    let columns = vec![
        column("id", ColumnType::String)?,
        column("text", ColumnType::Text)?,
        column("number", ColumnType::Integer)?,
    ];
    let key = vec![columns[0].name.clone()];
    Ok(TableSchema::new(table, columns, key)?)
}

async fn create(ctldb: &CtlDb, schema: &TableSchema) -> Result<()> {
    let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
    let kind = SchemaChangeKind::Create { schema: schema.clone(), owner };
    let change = SchemaChange { table: schema.table().clone(), by: OwnerId::Executive, kind };
    ctldb
        .change_schema(&change, &Author::system("bench"), Fence::Open)
        .await
        .context("make a table")?;
    Ok(())
}
