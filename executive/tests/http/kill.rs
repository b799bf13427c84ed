//! The executive, or MariaDB behind it, is killed in the middle of load, again and again, and started again: no half batch,
//! no hole, no acknowledged batch lost, no batch twice for one pair of cookies.

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ctldb::CtlDb;
use ledger::{CtlDbUrl, Literal, Seq, Statement};
use serde_json::json;
use testkit::http::Request;
use testkit::mariadb::MariaDb;
use testkit::program::Program;
use tokio_util::sync::CancellationToken;

const WRITERS: usize = 4;
/// Rows of a batch; each bears the batch's number.
const ROWS: i64 = 3;
const SECRET: &str = "the-secret";

/// Who is killed.
enum Victim {
    Executive,
    MariaDb(MariaDb),
}

impl Victim {
    /// The rounds: a few here, `CTLSTORE_KILL_ROUNDS=100` for the whole promise. MariaDB takes seconds to come back.
    fn rounds(&self) -> u64 {
        let rounds = std::env::var_os("CTLSTORE_KILL_ROUNDS");
        let few = match self {
            Self::Executive => 40,
            Self::MariaDb(_) => 6,
        };
        rounds.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(few)
    }
}

/// Where the executive listens now; it moves with every start.
type Place = Arc<RwLock<SocketAddr>>;

async fn start(url_file: &Path) -> Result<(Program, SocketAddr)> {
    let file = url_file.to_str().context("a path")?;
    let args = [
        "executive",
        "--bind",
        "127.0.0.1:0",
        "--admin-bind",
        "127.0.0.1:0",
        "--open-admin",
        "--ctldb-url-file",
        file,
        "--writer-limit",
        "1000000000",
    ];
    let mut program = Program::ctlstore(&args)?;
    let address = |line: &str| {
        let (_, rest) = line.split_once("\"api\":\"").or_else(|| line.split_once("api="))?;
        rest.split(['"', ' ']).next()?.parse().ok()
    };
    let addr = program.line(address).await?;
    Ok((program, addr))
}

/// What a writer knows.
struct Writer {
    name: String,
    place: Place,
    /// Batches that were acknowledged: their numbers and their last sequences.
    acknowledged: BTreeMap<i64, u64>,
}

impl Writer {
    fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<testkit::http::Answer> {
        let addr = *self.place.read().unwrap_or_else(PoisonError::into_inner);
        let headers = [("ctlstore-writer", self.name.as_str()), ("ctlstore-secret", SECRET)];
        Request { method, path, headers: &headers, body }.send(addr)
    }

    /// Writes batch after batch, each checking the cookie that the one before has set. Without an answer, a batch is sent
    /// again as it is.
    fn write_on(mut self, stop: &CancellationToken) -> Self {
        let mut number = 1;
        while !stop.is_cancelled() {
            match self.batch(number) {
                Ok(Some(seq)) => {
                    self.acknowledged.insert(number, seq);
                    number += 1;
                }
                // Nobody there, or not yet.
                Ok(None) | Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        self
    }

    fn batch(&self, number: i64) -> Result<Option<u64>> {
        let rows = (0..ROWS).map(|row| {
            let values = json!({"writer": self.name, "row": row, "batch": number});
            json!({"table": "load", "values": values})
        });
        let cookie = |number: i64| STANDARD.encode(number.to_string());
        let body = json!({
            "mutations": rows.collect::<Vec<_>>(),
            "cookie": cookie(number),
            "check_cookie": cookie(number - 1),
        });
        let answer = self.send("POST", "/families/fam/mutations", body.to_string().as_bytes())?;
        match answer.status {
            200 => Ok(Some(answer.header("ctlstore-seq").context("no position")?.parse()?)),
            // ctldb was not reached yet; a correct client tries again.
            503 | 504 => Ok(None),
            other => panic!("{}: batch {number}: {other} {}", self.name, answer.text()),
        }
    }
}

/// The whole batches of the ledger: writer and number, by the sequence of their last entry.
async fn batches(db: &CtlDb) -> Result<BTreeMap<u64, (String, i64)>> {
    let mut found = BTreeMap::new();
    let mut frame: Option<Vec<(String, i64)>> = None;
    let mut last = 0;
    loop {
        let entries = db.entries(Seq::new(last).context("a sequence")?, 5000).await?;
        if entries.is_empty() {
            ensure!(frame.is_none(), "the ledger ends within a batch");
            return Ok(found);
        }
        for entry in entries {
            ensure!(entry.seq.get() == last + 1, "a hole after {last}");
            last = entry.seq.get();
            match (Statement::parse(&entry.statement)?, &mut frame) {
                (Statement::Begin, None) => frame = Some(Vec::new()),
                (Statement::Upsert { values, .. }, Some(rows)) => match values.as_slice() {
                    [Literal::Text(writer), _, Literal::Integer(batch)] => {
                        rows.push((writer.clone(), *batch));
                    }
                    other => anyhow::bail!("{other:?}"),
                },
                (Statement::Commit, Some(rows)) => {
                    let first = rows.first().context("an empty batch")?.clone();
                    let whole = rows.len() == 3 && rows.iter().all(|row| *row == first);
                    ensure!(whole, "half a batch: {rows:?}");
                    ensure!(
                        !found.values().any(|batch| *batch == first),
                        "{first:?} is there twice"
                    );
                    found.insert(last, first);
                    frame = None;
                }
                (Statement::CreateTable(_), None) => {}
                (other, _) => anyhow::bail!("{other} is in the wrong place"),
            }
        }
    }
}

struct Load {
    place: Place,
    url_file: PathBuf,
    db: CtlDb,
    program: Program,
    _dir: tempfile::TempDir,
}

impl Load {
    async fn prepare(url: Option<String>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let url = url.unwrap_or_else(|| format!("sqlite:{}", dir.path().join("db").display()));
        let url_file = dir.path().join("url");
        std::fs::write(&url_file, &url)?;
        let db = CtlDb::open(CtlDbUrl::parse(&url)?)?;
        db.migrate().await?;
        let (program, addr) = start(&url_file).await?;
        let place = Arc::new(RwLock::new(addr));
        let admin = Writer {
            name: "admin".to_owned(),
            place: Arc::clone(&place),
            acknowledged: BTreeMap::new(),
        };
        let table = r#"{"fields":[["writer","string"],["row","integer"],["batch","integer"]],"keyFields":["writer","row"]}"#;
        admin.send("POST", "/families/fam", b"")?.ok()?;
        admin.send("POST", "/families/fam/tables/load", table.as_bytes())?.ok()?;
        for number in 0..WRITERS {
            let writer = Writer {
                name: format!("writer-{number}"),
                place: Arc::clone(&place),
                acknowledged: BTreeMap::new(),
            };
            writer.send("POST", &format!("/writers/{}", writer.name), SECRET.as_bytes())?.ok()?;
            writer.send("POST", "/cookie", b"0")?.ok()?;
        }
        Ok(Self { place, url_file, db, program, _dir: dir })
    }

    /// Kills the victim and brings it back.
    async fn kill(&mut self, victim: &Victim) -> Result<()> {
        match victim {
            Victim::Executive => {
                self.program.kill()?;
                let (program, addr) = start(&self.url_file).await?;
                self.program = program;
                *self.place.write().unwrap_or_else(PoisonError::into_inner) = addr;
            }
            Victim::MariaDb(maria) => {
                maria.kill();
                maria.restart()?;
                // Until writers get on: the next kill is to meet load.
                let head = self.head().await?;
                let written = async || {
                    ensure!(self.head().await? > head, "nobody writes");
                    Ok(())
                };
                testkit::eventually(Duration::from_secs(60), written).await?;
            }
        }
        Ok(())
    }

    async fn head(&self) -> Result<Seq> {
        let meta = async || Ok(self.db.meta().await?);
        Ok(testkit::eventually(Duration::from_secs(60), meta).await?.last_seq())
    }

    /// Kills and starts; then says what the writers were told.
    async fn run(&mut self, victim: &Victim) -> Result<Vec<Writer>> {
        let stop = CancellationToken::new();
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (place, stop) = (Arc::clone(&self.place), stop.clone());
                let name = format!("writer-{number}");
                let writer = Writer { name, place, acknowledged: BTreeMap::new() };
                std::thread::spawn(move || writer.write_on(&stop))
            })
            .collect();
        for round in 0..victim.rounds() {
            // Each kill meets the load at another moment.
            tokio::time::sleep(Duration::from_millis(20 + round * 37 % 90)).await;
            self.kill(victim).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
        let writers = writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok(writers.collect())
    }
}

async fn killed_under_load(url: Option<String>, victim: &Victim) -> Result<()> {
    let start = Instant::now();
    let mut load = Load::prepare(url).await?;
    let writers = load.run(victim).await?;
    load.db.verify().await?;
    let batches = batches(&load.db).await?;
    for writer in &writers {
        let own: Vec<_> = batches.iter().filter(|(_, (name, _))| *name == writer.name).collect();
        // In order, none left out, none twice; the last may lack its answer.
        let numbers: Vec<_> = own.iter().map(|(_, (_, number))| *number).collect();
        let want: Vec<_> = (1..=i64::try_from(own.len())?).collect();
        assert_eq!(numbers, want, "{}", writer.name);
        for (number, seq) in &writer.acknowledged {
            let found = batches.get(seq);
            assert_eq!(found, Some(&(writer.name.clone(), *number)), "lost, or elsewhere");
        }
        assert!(writer.acknowledged.len() > 3, "{} wrote next to nothing", writer.name);
        let unanswered = own.len() - writer.acknowledged.len();
        assert!(unanswered <= 1, "{unanswered}");
        let cookie = writer.send("GET", "/cookie", b"")?.ok()?.text();
        assert_eq!(cookie, own.len().to_string());
    }
    let (batches, took) = (batches.len(), start.elapsed());
    writeln!(stderr(), "{batches} batches, {} rounds, {took:?}", victim.rounds())?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_on_mariadb() {
    let url = MariaDb::shared().create_database().unwrap().url;
    killed_under_load(Some(url), &Victim::Executive).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_is_killed_under_load() {
    let maria = MariaDb::start().unwrap();
    let url = maria.create_database().unwrap().url;
    killed_under_load(Some(url), &Victim::MariaDb(maria)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_on_sqlite() {
    killed_under_load(None, &Victim::Executive).await.unwrap();
}
