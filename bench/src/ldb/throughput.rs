//! Reads a second on one thread and on two, while the agent applies a hundred transactions a second.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::ldb::node::{Node, ROWS};
use crate::ldb::point::{self, Point, RAW_AUTOCOMMIT, READER};
use crate::runner::{self, Contender, Scenario};

const TIME: Duration = Duration::from_secs(2);
const TRANSACTIONS_PER_SECOND: u32 = 100;

pub(crate) fn run(
    node: &Node,
    rounds: usize,
    out: &mut dyn Write,
    json: &mut dyn Write,
) -> Result<()> {
    let contender = |name, point, threads| {
        let run = move || while_applying(node, || reads_a_second(node, point, threads));
        Contender { name, run: Box::new(run) }
    };
    let contenders = vec![
        contender("reader, 1 thread", READER, 1),
        contender("reader, 2 threads", READER, 2),
        contender("autocommit, 1 thread", RAW_AUTOCOMMIT, 1),
        contender("autocommit, 2 threads", RAW_AUTOCOMMIT, 2),
    ];
    let unit = "reads/s while 100 tx/s are applied";
    let mut scenario = Scenario { name: "ldb", unit, contenders, budgets: Vec::new() };
    runner::run(&mut scenario, rounds, out, json).map(drop)
}

/// Writes rows at the rate while `work` runs.
pub(crate) fn while_applying<T>(node: &Node, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let start = Instant::now();
            for number in 0.. {
                let due = Duration::from_secs(1) * number / TRANSACTIONS_PER_SECOND;
                thread::sleep(due.saturating_sub(start.elapsed()));
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let row = number % ROWS;
                node.write(row..row + 1)?;
            }
            anyhow::Ok(())
        });
        let outcome = work();
        over.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| anyhow!("the writer panicked"))??;
        outcome
    })
}

fn reads_a_second(node: &Node, point: &'static str, threads: u32) -> Result<f64> {
    thread::scope(|scope| {
        let readers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| count(&mut *point::open(point, node.dir())?)))
            .collect();
        let counts = readers
            .into_iter()
            .map(|reader| reader.join().map_err(|_| anyhow!("a reader panicked"))?);
        let sum = counts.sum::<Result<u32>>()?;
        Ok(f64::from(sum) / TIME.as_secs_f64())
    })
}

fn count(point: &mut dyn Point) -> Result<u32> {
    let keys = point::keys();
    let (start, mut count) = (Instant::now(), 0);
    for key in keys.iter().cycle() {
        point.read(key)?;
        count += 1;
        if start.elapsed() > TIME {
            break;
        }
    }
    Ok(count)
}
