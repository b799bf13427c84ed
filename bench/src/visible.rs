//! Freshness: from the commit in ctldb until another process sees the row in the node's file. The agent is the released
//! binary and asks every millisecond, so that what is measured is the way and not the pause between two looks; the reader
//! waits as programs do that wait for their own write.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reader::Ldb;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::fixture;
use crate::process::Agent;
use crate::runner::{self, Budget, Contender, Scenario};

const P50: &str = "commit to visible, p50";
const P99: &str = "commit to visible, p99";
/// The ledger that the agent has applied before.
const ENTRIES: u64 = 2_000;
/// Writes in a round, and the pause between two.
const WRITES: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(3);
const POLL: &str = "1ms";

/// Runs the scenario; true when its budget was kept.
pub(crate) fn run(args: &Args, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let folder = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let ledger = folder.path().join("ctldb.sqlite");
    let runtime = Runtime::new()?;
    let mut writes = runtime.block_on(fixture::Writes::new(&ledger, ENTRIES))?;
    let agent = Agent::start(folder.path(), &ledger, ENTRIES, POLL)?;
    let ldb = Ldb::open(agent.ldb_dir())?;
    let mut round = || -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(WRITES);
        for _ in 0..WRITES {
            let mark = runtime.block_on(writes.write(1))?;
            let committed = Instant::now();
            ldb.at_least(mark, Duration::from_secs(5)).context("wait for the write")?;
            times.push(committed.elapsed().as_secs_f64() * 1000.0);
            std::thread::sleep(PAUSE);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    };
    let last = std::cell::RefCell::new(Vec::new());
    let mut scenario = Scenario {
        name: "visible",
        unit: "ms",
        contenders: vec![
            Contender {
                name: P99,
                run: Box::new(|| {
                    *last.borrow_mut() = round()?;
                    Ok(last.borrow()[WRITES * 99 / 100])
                }),
            },
            Contender {
                name: P50,
                run: Box::new(|| Ok(last.borrow().get(WRITES / 2).copied().unwrap_or_default())),
            },
        ],
        budgets: vec![Budget::AtMost { limit: 10.0, of: P99 }],
    };
    runner::run(&mut scenario, args.rounds, out, json)
}
