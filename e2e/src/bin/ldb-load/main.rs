//! Readers of an LDB as processes of their own, which the tests run as another user behind a read-only mount:
//!
//! * `ldb-load read DIR FAMILY THREADS PAUSE_MS STOP` reads pairs through the crate `reader`, from many threads;
//! * `ldb-load hold DIR FAMILY CONNECTIONS SECONDS STOP` keeps read transactions open in plain SQLite connections;
//! * `ldb-load keep DIR FAMILY CONNECTIONS MILLIS STOP` reads on through connections that never follow a switch.
//!
//! Each ends when the file STOP is there, and prints a JSON object: what it saw of the promises (see [`seen::Seen`]).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::seen::Seen;

mod plain;
mod seen;
mod threads;

/// What the command line says.
#[derive(Debug, Clone)]
struct Task {
    dir: PathBuf,
    family: String,
    count: u64,
    /// The pause between two reads, the length of a transaction: by mode.
    time: u64,
    stop: Arc<AtomicBool>,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, dir, family, count, time, stop_file] = &args[..] else {
        bail!("usage: ldb-load read|hold|keep DIR FAMILY COUNT TIME STOP");
    };
    let stop = Arc::new(AtomicBool::new(false));
    watch(PathBuf::from(stop_file), Arc::clone(&stop));
    let (count, time) = (count.parse().context("COUNT")?, time.parse().context("TIME")?);
    let task = Task { dir: PathBuf::from(dir), family: family.clone(), count, time, stop };
    let seen = match mode.as_str() {
        "read" => threads::read(&task)?,
        "hold" => in_threads(&task, plain::hold)?,
        "keep" => in_threads(&task, plain::keep)?,
        other => bail!("no mode is called {other:?}"),
    };
    writeln!(std::io::stdout(), "{}", seen.json()).context("say what was seen")
}

impl Task {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, but not beyond the end.
    fn sleep(&self, mut time: Duration) {
        while !time.is_zero() && !self.is_over() {
            let step = time.min(Duration::from_millis(50));
            thread::sleep(step);
            time -= step;
        }
    }
}

/// Runs `work` on so many threads, and adds up what they saw.
fn in_threads(task: &Task, work: fn(&Task) -> Seen) -> Result<Seen> {
    let spawn = |_| {
        let task = task.clone();
        thread::spawn(move || work(&task))
    };
    let threads: Vec<_> = (0..task.count).map(spawn).collect();
    let mut seen = Seen::default();
    for thread in threads {
        seen.add(thread.join().ok().context("a thread of readers panicked")?);
    }
    Ok(seen)
}

fn watch(stop_file: PathBuf, stop: Arc<AtomicBool>) {
    let there = |file: &Path| file.exists();
    thread::spawn(move || {
        while !there(&stop_file) {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
    });
}
