//! A ledger that grows: batches of one pair each, at a rate.
//!
//! A pair is two rows, `left` and `right`, written in one batch with one number and one time. The numbers of a pair only
//! rise, so a reader can tell a torn batch and a step back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use ctldb::{
    Author, Batch, Credentials, CtlDb, Deletion, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind, Secret, TableMutation,
};
use futures::future::try_join_all;
use ledger::{
    Column, ColumnName, ColumnType, CtlDbUrl, FamilyName, LdbTable, Mutation, Row, TableName,
    TableSchema, Value, WriterName,
};
use tokio::runtime::Runtime;

/// So many pairs there are.
pub(crate) const PAIRS: i64 = 8;
/// Their family.
pub(crate) const FAMILY: &str = "load";

/// Writes batches on a thread of its own until it is told to stop.
pub(crate) struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Fed>>,
}

/// What a feed has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fed {
    pub(crate) batches: u32,
    pub(crate) rate: f64,
    /// The ledger's last sequence.
    pub(crate) seq: u64,
}

/// The writer's side of a ledger.
#[derive(Clone)]
pub(crate) struct Pairs {
    ctldb: Arc<CtlDb>,
    schema: Arc<TableSchema>,
    /// A writer for each pair, so that batches of several pairs may be under way at once.
    writers: Arc<Vec<Credentials>>,
}

impl Pairs {
    /// Makes the ledger at `file`, with the table and one batch for each pair.
    pub(crate) async fn create(file: &Path) -> Result<Self> {
        let ctldb = CtlDb::open(CtlDbUrl::Sqlite(file.to_owned()))?;
        ctldb.migrate().await.context("migrate")?;
        let family = FamilyName::parse(FAMILY)?;
        ctldb.create_family(&family, Fence::Open).await?;
        let mut writers = Vec::new();
        for pair in 0..PAIRS {
            let writer = WriterName::parse(&format!("load{pair}"))?;
            let secret = Secret::from("load-secret".to_owned());
            ctldb.register_writer(&writer, &secret).await?;
            writers.push(Credentials { writer, secret });
        }
        let schema = schema(&family)?;
        let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
        let kind = SchemaChangeKind::Create { schema: schema.clone(), owner };
        let change = SchemaChange { table: schema.table().clone(), by: OwnerId::Executive, kind };
        ctldb.change_schema(&change, &author(), Fence::Open).await.context("make the table")?;
        let (ctldb, schema) = (Arc::new(ctldb), Arc::new(schema));
        let pairs = Self { ctldb, schema, writers: Arc::new(writers) };
        for pair in 0..PAIRS {
            pairs.write(pair, 0).await?;
        }
        Ok(pairs)
    }

    /// Writes one batch; returns its sequence.
    pub(crate) async fn write(&self, pair: i64, n: i64) -> Result<u64> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let at = i64::try_from(at.as_micros())?;
        let row = |side: &str| {
            let side = Value::Text(side.to_owned());
            let number = Value::Integer;
            let row = Row::new(&self.schema, vec![number(pair), side, number(n), number(at)])?;
            let schema = Arc::clone(&self.schema);
            anyhow::Ok(TableMutation { schema, mutation: Mutation::Upsert(row) })
        };
        let batch = Batch {
            family: self.schema.table().family().clone(),
            credentials: self.writers[usize::try_from(pair)?].clone(),
            cookie: None,
            check_cookie: None,
            mutations: vec![row("left")?, row("right")?],
            author: author(),
        };
        Ok(self.ctldb.mutate(&batch).await.context("write a batch")?.mark.seq.get())
    }

    /// Writes so many batches a second, with numbers from `first` on.
    pub(crate) fn feed(&self, per_second: u32, first: i64) -> Feed {
        let stop = Arc::new(AtomicBool::new(false));
        let (pairs, stopped) = (self.clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            Runtime::new()?.block_on(pairs.run(per_second, first, &stopped))
        });
        Feed { stop, thread }
    }

    async fn run(self, per_second: u32, first: i64, stop: &AtomicBool) -> Result<Fed> {
        let started = Instant::now();
        let every = Duration::from_secs(1) * u32::try_from(PAIRS)? / per_second;
        let lanes = (0..PAIRS).map(|pair| self.lane(pair, every, first, stop));
        let lanes = try_join_all(lanes).await?;
        let batches = lanes.iter().map(|(batches, _)| batches).sum();
        let seq = lanes.iter().map(|(_, seq)| *seq).max().unwrap_or_default();
        let rate = f64::from(batches) / started.elapsed().as_secs_f64();
        Ok(Fed { batches, rate, seq })
    }

    /// Writes one pair again and again; returns how often, and the last sequence.
    async fn lane(
        &self,
        pair: i64,
        every: Duration,
        first: i64,
        stop: &AtomicBool,
    ) -> Result<(u32, u64)> {
        let started = Instant::now();
        let (mut batches, mut seq) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep((every * batches).saturating_sub(started.elapsed())).await;
            seq = self.write(pair, first + i64::from(batches)).await?;
            batches += 1;
        }
        Ok((batches, seq))
    }
}

impl Feed {
    /// Ends it.
    pub(crate) fn stop(self) -> Result<Fed> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the feed panicked"))?
    }
}

fn schema(family: &FamilyName) -> Result<TableSchema> {
    let table = LdbTable::new(family.clone(), TableName::parse("pairs")?)?;
    let column = |name: &str, column_type| {
        anyhow::Ok(Column { name: ColumnName::parse(name)?, column_type })
    };
    let columns = vec![
        column("pair", ColumnType::Integer)?,
        column("side", ColumnType::String)?,
        column("n", ColumnType::Integer)?,
        column("at", ColumnType::Integer)?,
    ];
    let key = vec![columns[0].name.clone(), columns[1].name.clone()];
    Ok(TableSchema::new(table, columns, key)?)
}

fn author() -> Author {
    Author {
        writer: None,
        principal: "load".to_owned(),
        source_address: "local".to_owned(),
        request_id: "load".to_owned(),
        reason: None,
    }
}
