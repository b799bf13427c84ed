//! `ctlstore demo`: a table from YAML, rows over HTTP, the rows back from the node's file, with the time of each step.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ledger::{LdbTable, Seq};
use operator::{Kind, Notice};
use reader::{KeyValue, Ldb};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::args::{Demo, Output};
use crate::dev::{self, Places, Said};
use crate::outcome::Outcome;
use crate::print;

/// No step takes nearly as long on a machine that works.
const PATIENCE: Duration = Duration::from_secs(30);
/// Point reads whose median is printed.
const READS: usize = 1001;

/// Runs the demo and ends.
pub(crate) fn demo(args: Demo, out: &mut dyn Write) -> Result<Outcome> {
    let Demo { manifests, batch, dir } = args;
    let batch = batch.unwrap_or_else(|| manifests.join("batches/rows.json"));
    let batch =
        fs::read(&batch).with_context(|| format!("cannot read the batch {}", batch.display()))?;
    let temporary = tempfile::tempdir().context("make a temporary folder")?;
    let dir = dir.unwrap_or_else(|| temporary.path().to_owned());
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = dev::Config {
        dir,
        manifests,
        executive_bind: free,
        read_bind: free,
        // It is over before the first, and prints the sequences of its own entries.
        heartbeat: Duration::ZERO,
        allow_drop: false,
    };
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        let (said, heard) = tokio::sync::mpsc::channel(64);
        let mut services = std::pin::pin!(dev::run(&config, stop.clone(), said));
        tokio::select! {
            ended = &mut services => {
                ended.and_then(|()| bail!("the services ended before the demo"))
            }
            shown = show((&config.manifests, batch), heard, out) => {
                stop.cancel();
                shown.and(services.await)
            }
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended.map(|()| Outcome::Done)
}

async fn show(
    (manifests, batch): (&Path, Vec<u8>),
    mut heard: Receiver<Said>,
    out: &mut dyn Write,
) -> Result<()> {
    let began = Instant::now();
    let places = started(&mut heard).await?;
    step(out, began, "started ctldb, agent, executive and operator, in this process")?;

    let clock = Instant::now();
    let ready = tables_ready(&mut heard, out).await?;
    let manifests = manifests.display();
    step(out, clock, &format!("from {manifests} to tables of ctldb and ledger entries: {ready}"))?;
    let tables = tables_in(&places, ready).await?;
    let table = tables.first().context("the manifests declare no table")?;
    let file = places.ldb.join(reader::layout::LDB);
    step(out, clock, &format!("from {manifests} to tables of the node's file {}", file.display()))?;

    let http = Http::new(&places);
    let secret = Bytes::from_static(b"demo-secret");
    http.post("/writers/demo", secret).await.context("register a writer")?;
    let clock = Instant::now();
    let path = format!("/families/{}/mutations", table.family());
    let seq = http.post(&path, batch.into()).await.context("write rows")?;
    let seq = seq.context("the executive's answer names no sequence")?;
    step(
        out,
        clock,
        &format!("from an HTTP request with rows to their commit: ledger entry {seq}"),
    )?;
    let ldb = Ldb::open(&places.ldb)?;
    wait_for(&ldb, seq).await?;
    step(out, clock, "from an HTTP request with rows to the node's file")?;

    for table in &tables {
        writeln!(out, "\n{table}, read from the file:")?;
        let family = ldb.family(table.family().as_str())?;
        let schema = family.schema(table.table().as_str())?;
        print::rows(&schema, &family.all(table.table().as_str())?, Output::Table, out)?;
    }
    let median = point_read(&ldb, table)?;
    let micros = median.as_secs_f64() * 1e6;
    writeln!(out, "\none row by its key, median of {READS} reads: {micros:.1} µs")?;
    writeln!(out, "whole demo: {:.2} s", began.elapsed().as_secs_f64())?;
    Ok(out.flush()?)
}

fn step(out: &mut dyn Write, since: Instant, what: &str) -> Result<()> {
    writeln!(out, "{:>8.1} ms  {what}", since.elapsed().as_secs_f64() * 1e3)?;
    Ok(out.flush()?)
}

async fn started(heard: &mut Receiver<Said>) -> Result<Places> {
    loop {
        match timeout(PATIENCE, heard.recv()).await?.context("the services ended")? {
            Said::Started(places) => return Ok(places),
            Said::Notice(_) => {}
        }
    }
}

/// Prints what the operator says until every object has its answer; says how many tables are ready.
async fn tables_ready(heard: &mut Receiver<Said>, out: &mut dyn Write) -> Result<usize> {
    let mut objects = None;
    let mut ready = BTreeMap::new();
    while objects.is_none_or(|objects| ready.len() < objects) {
        let said =
            timeout(PATIENCE, heard.recv()).await.context("the tables did not become ready")?;
        let Said::Notice(notice) = said.context("the services ended")? else { continue };
        writeln!(out, "             {notice}")?;
        out.flush()?;
        match notice {
            Notice::Read { objects: 0 } => bail!("there is no resource in the manifests' folder"),
            Notice::Read { objects: read } => objects = Some(read),
            Notice::Status(status) if status.ready == "True" => {
                ready.insert((status.kind.name(), status.object), status.kind == Kind::Table);
            }
            Notice::Problem(_) => bail!("a manifest has a problem, see above"),
            Notice::Status(status) if status.ready == "False" => {
                bail!("{} was refused, see above", status.object)
            }
            Notice::Status(_) | Notice::Gone { .. } => {}
        }
    }
    Ok(ready.values().filter(|&&table| table).count())
}

/// The tables of the node's file, once it has so many.
async fn tables_in(places: &Places, count: usize) -> Result<Vec<LdbTable>> {
    let look = || {
        let ldb = Ldb::open(&places.ldb).ok()?;
        let mut tables = Vec::new();
        for family in ldb.families().ok()? {
            for table in ldb.family(family.as_str()).ok()?.tables().ok()? {
                tables.push(LdbTable::new(family.clone(), table).ok()?);
            }
        }
        (tables.len() >= count).then_some(tables)
    };
    eventually(look).await.context("the tables did not arrive in the LDB")
}

async fn wait_for(ldb: &Ldb, seq: Seq) -> Result<()> {
    eventually(|| ldb.seq().is_ok_and(|at| at >= seq).then_some(()))
        .await
        .context("the rows did not arrive in the LDB")
}

async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "gave up after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reads a row by its key many times; the median counts.
fn point_read(ldb: &Ldb, table: &LdbTable) -> Result<Duration> {
    let family = ldb.family(table.family().as_str())?;
    let name = table.table().as_str();
    let first = family.scan(name).limit(1).collect::<Result<Vec<_>, _>>()?;
    let row = first.first().context("the batch wrote no row into the first table")?;
    let key: Vec<_> =
        row.schema().key().iter().filter_map(|column| row.get(column.as_str())).collect();
    let key = key.into_iter().map(key_value).collect::<Result<Vec<_>>>()?;
    let mut times = Vec::with_capacity(READS);
    for _ in 0..READS {
        let start = Instant::now();
        ensure!(family.row(name, &key)?.is_some(), "a row that was there is gone");
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[READS / 2])
}

fn key_value(value: &ledger::Value) -> Result<KeyValue<'_>> {
    Ok(match value {
        ledger::Value::Integer(integer) => KeyValue::from(*integer),
        ledger::Value::Text(text) => KeyValue::from(text.as_str()),
        ledger::Value::Bytes(bytes) => KeyValue::from(bytes.as_slice()),
        ledger::Value::Null | ledger::Value::Decimal(_) => {
            bail!("BUG: a key is neither null nor a decimal")
        }
    })
}

/// A writer's view of the executive.
struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Http {
    fn new(places: &Places) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: format!("http://{}", places.executive),
        }
    }

    /// Posts a body; returns the ledger sequence that the answer names.
    async fn post(&self, path: &str, body: Bytes) -> Result<Option<Seq>> {
        let request = Request::post(format!("{}{path}", self.base))
            .header("ctlstore-writer", "demo")
            .header("ctlstore-secret", "demo-secret")
            .body(Full::new(body))?;
        let answer = timeout(PATIENCE, self.client.request(request)).await??;
        let (head, body) = answer.into_parts();
        let text = timeout(PATIENCE, body.collect()).await??.to_bytes();
        ensure!(
            head.status == StatusCode::OK,
            "{}: {}",
            head.status,
            String::from_utf8_lossy(&text)
        );
        let seq = head.headers.get("ctlstore-seq").map(|seq| seq.to_str()).transpose()?;
        seq.map(|seq| Ok(Seq::try_from(seq.parse::<u64>()?)?)).transpose()
    }
}
