//! Reads in the second after a column was added to a file of two thousand tables: each connection must read the schema
//! anew.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use reader::Ldb;

use crate::ldb::node::{FAMILY, Node, TABLE};
use crate::ldb::point::{self, READER, nanos};
use crate::runner::{self, Budget, Contender, Scenario};

const TABLES: u32 = 2_000;
/// How long is looked, from the moment at which the file has the column.
const SECOND: Duration = Duration::from_secs(1);
/// A busy program reads some thousand rows a second; between reads it does something else.
const PAUSE: Duration = Duration::from_micros(200);
const NAME: &str = "read after ADD COLUMN, p99";
const SLOWEST: &str = "read after ADD COLUMN, slowest";

pub(crate) fn run(node: &Node, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    writeln!(out, "ldb: making {TABLES} tables")?;
    node.make_tables(TABLES)?;
    let mut added = 0;
    let mut slowest = Vec::new();
    let mut measured = || {
        added += 1;
        let times = second_after(node, &format!("added_{added}"))?;
        slowest.push(nanos(&times, 1000) / 1e6);
        anyhow::Ok(nanos(&times, 990) / 1e6)
    };
    let p99 = [measured()?, measured()?, measured()?];
    let figures = |figures: Vec<f64>| {
        let mut figures = figures.into_iter();
        Box::new(move || figures.next().context("BUG: one figure a round"))
    };
    let mut scenario = Scenario {
        name: "ldb",
        unit: "ms",
        contenders: vec![
            Contender { name: NAME, run: figures(p99.to_vec()) },
            Contender { name: SLOWEST, run: figures(slowest) },
        ],
        budgets: vec![Budget::AtMost { limit: 1.0, of: NAME }],
    };
    runner::run(&mut scenario, p99.len(), out, json)
}

/// How long the reads take from the moment on at which the file has the new column.
fn second_after(node: &Node, column: &str) -> Result<Vec<Duration>> {
    let there = AtomicBool::new(false);
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reader = point::open(READER, node.dir())?;
            let keys = point::keys();
            let (mut times, mut since) = (Vec::new(), None::<Instant>);
            for key in keys.iter().cycle() {
                let start = Instant::now();
                reader.read(key)?;
                // The read that meets the column is before `there`: all reads since the change was asked for are kept.
                times.push((start, start.elapsed()));
                if there.load(Ordering::Relaxed) && since.is_none() {
                    since = Some(start);
                }
                if since.is_some_and(|since| since.elapsed() > SECOND) {
                    break;
                }
                thread::sleep(PAUSE);
            }
            anyhow::Ok(times)
        });
        // The reader is warm when the change comes.
        thread::sleep(Duration::from_millis(500));
        let asked = Instant::now();
        let outcome = node.add_column(column).and_then(|()| wait_for(node, column));
        there.store(true, Ordering::Relaxed);
        let times = reading.join().map_err(|_| anyhow!("the reader panicked"))??;
        outcome?;
        let times = times.into_iter().filter(|(start, _)| *start >= asked);
        let mut times: Vec<_> = times.map(|(_, time)| time).collect();
        times.sort_unstable();
        Ok(times)
    })
}

fn wait_for(node: &Node, column: &str) -> Result<()> {
    let family = Ldb::open(node.dir())?.family(FAMILY)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !family.schema(TABLE)?.columns().iter().any(|other| other.name.as_str() == column) {
        anyhow::ensure!(Instant::now() < deadline, "the file does not get the column {column}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
