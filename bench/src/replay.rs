//! Catch-up: a node's agent on a ledger of tens of thousands of entries, beside two loops: one runs each statement's text
//! in a SQLite transaction of its own, with the bookkeeping of the original (its section 4.5); the other is the least that
//! anybody can do, prepared statements in one transaction, without digests, books and control page. Same ledger, same
//! disk, same journal mode, WAL with `synchronous=NORMAL`.

mod prepared;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ledger::{CtlDbUrl, Statement};
use reader::layout;
use rusqlite::{Connection, params};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::fixture;
use crate::runner::{self, Budget, Contender, Scenario};

const AGENT: &str = "agent";
const LOOP: &str = "one transaction per statement";
const PREPARED: &str = "prepared, all in one transaction";

/// Runs the scenario; true when its budget was kept.
pub(crate) fn run(args: &Args, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let folder = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let ledger = folder.path().join("ctldb.sqlite");
    let runtime = Runtime::new()?;
    writeln!(out, "replay: writing a ledger of {} entries", args.entries)?;
    let entries = runtime.block_on(async {
        let ctldb = fixture::mixed_ledger(&ledger, args.entries).await?;
        anyhow::Ok(ctldb.meta().await?.last.map_or(0, |last| last.seq.get()))
    })?;
    let mut scenario = Scenario {
        name: "replay",
        unit: "entries/s",
        contenders: vec![
            Contender {
                name: AGENT,
                run: Box::new(|| {
                    let target = tempfile::tempdir_in(folder.path())?;
                    rate(entries, runtime.block_on(with_agent(&ledger, target.path(), entries))?)
                }),
            },
            Contender {
                name: LOOP,
                run: Box::new(|| {
                    let target = tempfile::tempdir_in(folder.path())?;
                    rate(entries, one_by_one(&ledger, &target.path().join("ldb.db"))?)
                }),
            },
            Contender {
                name: PREPARED,
                run: Box::new(|| {
                    let target = tempfile::tempdir_in(folder.path())?;
                    rate(entries, prepared::run(&ledger, &target.path().join("ldb.db"))?)
                }),
            },
        ],
        budgets: vec![
            Budget::AtLeast { times: 20.0, first: AGENT, second: LOOP },
            Budget::AtLeast { times: 0.6, first: AGENT, second: PREPARED },
        ],
    };
    runner::run(&mut scenario, args.rounds, out, json)
}

fn rate(entries: u64, time: Duration) -> Result<f64> {
    // Ledgers of a benchmark are far below 2^32 entries.
    Ok(f64::from(u32::try_from(entries)?) / time.as_secs_f64())
}

/// From the start of the agent on an empty directory until the last entry is committed.
async fn with_agent(ledger: &Path, ldb_dir: &Path, entries: u64) -> Result<Duration> {
    let stop = CancellationToken::new();
    let ctldb = CtlDbUrl::Sqlite(ledger.to_owned());
    let mut config = agent::Config::new(ldb_dir.to_owned(), ctldb);
    config.poll_interval = Duration::from_millis(100);
    let start = Instant::now();
    let agent = tokio::spawn(agent::run::run(config, stop.clone(), |_started| ()));
    while seq(ldb_dir).is_none_or(|seq| seq < entries) && !agent.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let time = start.elapsed();
    stop.cancel();
    agent.await.context("the agent ended badly")??;
    Ok(time)
}

/// The last sequence committed, from the control page: a look at it costs the agent nothing.
fn seq(ldb_dir: &Path) -> Option<u64> {
    let mut word = [0; 8];
    let offset = u64::try_from(layout::word::SEQ * word.len()).ok()?;
    File::open(ldb_dir.join(layout::CTL)).ok()?.read_exact_at(&mut word, offset).ok()?;
    Some(u64::from_le_bytes(word))
}

/// A new file in the mode that all contenders use.
fn open(ldb: &Path) -> Result<Connection> {
    let target = Connection::open(ldb)?;
    target.pragma_update(None, "journal_mode", "WAL")?;
    target.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(target)
}

/// What the original's reflector does for each statement, markers aside: time, sequence, text, commit.
fn one_by_one(ledger: &Path, ldb: &Path) -> Result<Duration> {
    let start = Instant::now();
    let source = Connection::open(ledger)?;
    let mut target = open(ldb)?;
    target.execute_batch(
        "CREATE TABLE _ldb_seq (id INTEGER PRIMARY KEY NOT NULL, seq BIGINT NOT NULL);
         CREATE TABLE _ldb_last_update (name STRING PRIMARY KEY NOT NULL, timestamp DATETIME NOT NULL);",
    )?;
    let mut select =
        source.prepare("SELECT seq, leader_ts, statement FROM ctlstore_dml_ledger ORDER BY seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, time, text): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let transaction = target.transaction()?;
        transaction.execute(
            "REPLACE INTO _ldb_last_update (name, timestamp) VALUES ('ledger', ?1)",
            params![time],
        )?;
        transaction.execute(
            "INSERT INTO _ldb_seq (id, seq) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET seq = excluded.seq WHERE seq < excluded.seq",
            params![seq],
        )?;
        if text != Statement::BEGIN && text != Statement::COMMIT {
            transaction.execute(&text, [])?;
        }
        transaction.commit()?;
    }
    Ok(start.elapsed())
}
