//! The executive: batches of 1 and 20 rows by 1 and 16 writers, over HTTP and through ctldb itself, beside bare sqlx that
//! takes the same ledger lock first and writes the same rows and the same entries. One MariaDB for all, one after the
//! other.

mod clients;
mod load;

use std::io::Write;
use std::sync::Mutex;

use anyhow::Result;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::executive::clients::{Kind, Stage};
use crate::executive::load::{Load, percentile};
use crate::runner::{self, Budget, Contender, Scenario};

const BARE: &str = "bare sqlx under the ledger lock";
const CTLDB: &str = "ctldb";
const HTTP: &str = "executive over HTTP";

const SHAPES: [(&str, usize, usize); 4] = [
    ("executive 1x1", 1, 1),
    ("executive 1x20", 1, 20),
    ("executive 16x1", 16, 1),
    ("executive 16x20", 16, 20),
];

/// What one client of the original does in a second on such a machine.
const ORIGINAL: f64 = 182.0;

/// Runs the scenario; true when its budgets were kept.
pub(crate) fn run(args: &Args, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let runtime = Runtime::new()?;
    let stage = runtime.block_on(Stage::new())?;
    let mut kept = true;
    for (name, writers, rows) in SHAPES {
        let latencies = Mutex::new(Vec::new());
        let contender = |name, kind| Contender {
            name,
            run: Box::new({
                let (runtime, stage, latencies) = (&runtime, &stage, &latencies);
                move || {
                    let Load { batches_per_second, times } =
                        runtime.block_on(load::drive(stage, kind, writers, rows))?;
                    let mut latencies = latencies.lock().expect("BUG: no contender panicked");
                    latencies.push((name, percentile(&times, 50), percentile(&times, 99)));
                    Ok(batches_per_second)
                }
            }),
        };
        let mut scenario = Scenario {
            name,
            unit: "batches/s",
            contenders: vec![
                contender(BARE, Kind::Bare),
                contender(CTLDB, Kind::CtlDb),
                contender(HTTP, Kind::Http),
            ],
            budgets: budgets(writers, rows),
        };
        kept &= runner::run(&mut scenario, args.rounds, out, json)?;
        drop(scenario);
        for (contender, half, most) in latencies.into_inner().expect("BUG: no contender panicked") {
            writeln!(out, "{name:<14} {contender:<34} p50 {half:>9.2?}  p99 {most:>9.2?}")?;
        }
    }
    runtime.block_on(stage.end())?;
    Ok(kept)
}

fn budgets(writers: usize, rows: usize) -> Vec<Budget> {
    let mut budgets = vec![
        Budget::AtLeast { times: 0.7, first: CTLDB, second: BARE },
        Budget::AtLeast { times: 0.7, first: HTTP, second: BARE },
    ];
    if rows == 1 {
        let limit = if writers == 1 { 2.0 * ORIGINAL } else { 1000.0 };
        budgets.push(Budget::NotBelow { limit, of: HTTP });
    }
    budgets
}
