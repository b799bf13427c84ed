//! A fresh node: from the start of its agent on an empty directory until it serves the newest snapshot and follows the
//! ledger, beside the plain download and decompression of the same parts and beside the bare disk; what memory that takes.
//! And the other end: what a snapshot takes beside `zstd -1` of the same file, and what it leaves of the speed of replay.

mod site;

use std::io::Write;
use std::time::Instant;

use anyhow::Result;

use crate::args::Args;
use crate::bootstrap::site::{Site, Upload, settle};
use crate::runner::{self, Budget, Contender, Scenario};

const AGENT: &str = "agent, empty directory to ledger";
const PLAIN: &str = "GET | zstd -d > file, in parallel";
const RAW: &str = "write and fsync of the same bytes";
const MEMORY: &str = "agent that begins, peak MiB";
const SNAPSHOT: &str = "agent, copy to verified pointer";
const ZSTD: &str = "zstd -1 of the same file";
const UPLOADER: &str = "agent that uploads, peak MiB";
const WITH: &str = "entries applied during a snapshot";
const WITHOUT: &str = "entries applied without";

/// Runs the scenario; true when its budgets were kept.
pub(crate) fn run(args: &Args, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    writeln!(out, "bootstrap: making an LDB of {} MB", args.ldb_mb)?;
    out.flush()?;
    let site = Site::new(args.dir.as_deref(), args.ldb_mb)?;
    writeln!(out, "bootstrap: {} parts, {} bytes in the store", site.parts(), site.stored_bytes())?;
    let mut kept = true;
    for mut scenario in [download(&site), memory(&site), upload(&site), apply(&site)] {
        kept &= runner::run(&mut scenario, args.rounds, out, json)?;
        out.flush()?;
    }
    Ok(kept)
}

fn download(site: &Site) -> Scenario<'_> {
    Scenario {
        name: "bootstrap",
        unit: "s",
        contenders: vec![
            Contender { name: AGENT, run: Box::new(|| Ok(site.begin()?.seconds)) },
            Contender { name: PLAIN, run: Box::new(|| timed(|| site.plain_download())) },
            Contender { name: RAW, run: Box::new(|| timed(|| site.raw_write())) },
        ],
        budgets: vec![Budget::AtMostTimes { times: 1.4, first: AGENT, second: PLAIN }],
    }
}

fn memory(site: &Site) -> Scenario<'_> {
    Scenario {
        name: "bootstrap",
        unit: "MiB",
        contenders: vec![
            Contender { name: MEMORY, run: Box::new(|| Ok(site.begin()?.peak_mib)) },
            Contender { name: UPLOADER, run: Box::new(|| Ok(site.snapshot()?.peak_mib)) },
        ],
        budgets: vec![
            Budget::AtMost { limit: 150.0, of: MEMORY },
            Budget::AtMost { limit: 64.0 + 27.0, of: UPLOADER },
        ],
    }
}

fn upload(site: &Site) -> Scenario<'_> {
    Scenario {
        name: "bootstrap",
        unit: "s",
        contenders: vec![
            Contender { name: SNAPSHOT, run: Box::new(|| Ok(site.snapshot()?.seconds)) },
            Contender { name: ZSTD, run: Box::new(|| timed(|| site.compress())) },
        ],
        budgets: Vec::new(),
    }
}

fn apply(site: &Site) -> Scenario<'_> {
    Scenario {
        name: "bootstrap",
        unit: "entries/s",
        contenders: vec![
            Contender { name: WITH, run: Box::new(|| site.apply(Upload::Always)) },
            Contender { name: WITHOUT, run: Box::new(|| site.apply(Upload::Never)) },
        ],
        budgets: vec![Budget::AtLeast { times: 0.8, first: WITH, second: WITHOUT }],
    }
}

/// What the work leaves behind is removed after the clock stopped, as it is for agents.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    settle()?;
    let start = Instant::now();
    let left = work()?;
    let seconds = start.elapsed().as_secs_f64();
    drop(left);
    Ok(seconds)
}
