//! Looks at a directory from outside while it is written: sizes of WALs, generations, and how old what is read is.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use ledger::Value;
use reader::{Family, Ldb};

use crate::feed::FAMILY;

const EVERY: Duration = Duration::from_millis(5);

/// A thread that looks.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Watched>>,
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// The largest WAL of a file while it was served.
    pub(crate) wal_max: u64,
    /// The largest one of a retired file.
    pub(crate) retired_wal_max: u64,
    /// How many generations were served.
    pub(crate) generations: usize,
    /// From before the write of a row until it was seen here, polling of the agent and of this thread included.
    visible: Vec<Duration>,
}

impl Watched {
    /// The longest time from a write until it was seen.
    pub(crate) fn slowest(&self) -> Duration {
        self.visible.last().copied().unwrap_or_default()
    }
}

impl Watch {
    /// `limit`: a WAL that was larger before, under another limit, counts from the moment on at which it keeps this one.
    pub(crate) fn start(dir: PathBuf, limit: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || look(&dir, limit, &stopped));
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Result<Watched> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the watching thread panicked"))?
    }
}

fn look(dir: &Path, limit: u64, stop: &AtomicBool) -> Result<Watched> {
    let family = Ldb::open(dir)?.family(FAMILY)?;
    let (mut watched, mut served, mut last) = (Watched::default(), BTreeSet::new(), 0);
    let mut settled = false;
    while !stop.load(Ordering::Relaxed) {
        let current = fs::read_link(dir.join("current")).context("which generation is served?")?;
        for entry in fs::read_dir(dir)? {
            let generation = entry?.path();
            // Its size only: a plain open and close would drop the locks of this process's SQLite.
            let Ok(wal) = fs::metadata(generation.join("ldb.db-wal")) else { continue };
            if generation.is_symlink() {
                continue;
            }
            let is_served = generation.file_name() == current.file_name();
            settled |= is_served && wal.len() <= limit;
            if is_served && !settled {
                continue;
            }
            let most = if is_served { &mut watched.wal_max } else { &mut watched.retired_wal_max };
            *most = wal.len().max(*most);
        }
        served.insert(current);
        if let Some((at, age)) = newest(&family)?.filter(|(at, _)| *at > last) {
            last = at;
            watched.visible.push(age);
        }
        thread::sleep(EVERY);
    }
    watched.generations = served.len();
    watched.visible.sort_unstable();
    Ok(watched)
}

/// When the newest pair was written, and how long ago that is.
fn newest(family: &Family) -> Result<Option<(i64, Duration)>> {
    let rows = family.all("pairs")?;
    let times = rows.iter().filter_map(|row| match row.get("at") {
        Some(Value::Integer(at)) => Some(*at),
        _ => None,
    });
    let Some(at) = times.max() else { return Ok(None) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Some((at, now.saturating_sub(Duration::from_micros(u64::try_from(at)?)))))
}

impl fmt::Display for Watched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wal_max, retired_wal_max, generations, visible } = self;
        let at = |percent: usize| {
            visible.get(visible.len() * percent / 100).copied().unwrap_or_default()
        };
        write!(out, "{generations} generations; WAL at most {} KiB, ", wal_max / 1024)?;
        write!(out, "of retired files {} KiB; ", retired_wal_max / 1024)?;
        write!(
            out,
            "write to sight p50 {:.0?}, p99 {:.0?}, max {:.0?}",
            at(50),
            at(99),
            self.slowest()
        )
    }
}
