//! What a reader saw of the promises: no error, no torn batch, no step back.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Errors that are told by their words; the others are counted.
const TOLD: usize = 5;

/// What was seen, by one thread or by all of a process.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Reads that were answered.
    pub(crate) reads: u64,
    /// Reads that were not.
    pub(crate) failed: u64,
    /// The words of the first of them.
    pub(crate) errors: BTreeSet<String>,
    /// Answers in which two rows of one batch differ, or in which one state has two faces.
    pub(crate) torn: u64,
    /// Answers older than the one before.
    pub(crate) backwards: u64,
    /// The longest time that a read took.
    pub(crate) slowest: Duration,
    /// The oldest row that a read returned without an error, by this machine's clock.
    pub(crate) oldest: Duration,
    /// Files of replaced generations that are still open after the last read.
    pub(crate) stale_files: BTreeSet<String>,
    /// How often a connection that never follows a switch was told so by an error.
    pub(crate) told: u64,
}

/// One pair: the rows `left` and `right`, written in one batch with one number and one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) left: (i64, i64),
    pub(crate) right: (i64, i64),
}

impl Seen {
    /// Counts an answer; `last` is the number that the pair had before.
    pub(crate) fn answer(&mut self, pair: Pair, last: &mut i64) {
        self.reads += 1;
        self.torn += u64::from(pair.left != pair.right);
        self.backwards += u64::from(pair.left.0 < *last);
        *last = pair.left.0;
    }

    pub(crate) fn failure(&mut self, error: &dyn std::error::Error) {
        self.failed += 1;
        if self.errors.len() < TOLD {
            let mut text = error.to_string();
            let mut next = error.source();
            while let Some(source) = next {
                text += &format!(": {source}");
                next = source.source();
            }
            self.errors.insert(text);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        let Self { reads, failed, errors, torn, backwards, slowest, oldest, stale_files, told } =
            other;
        self.reads += reads;
        self.failed += failed;
        self.errors.extend(errors);
        self.torn += torn;
        self.backwards += backwards;
        self.slowest = self.slowest.max(slowest);
        self.oldest = self.oldest.max(oldest);
        self.stale_files.extend(stale_files);
        self.told += told;
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "reads": self.reads,
            "failed": self.failed,
            "errors": self.errors,
            "torn": self.torn,
            "backwards": self.backwards,
            "slowest_ms": millis(self.slowest),
            "oldest_ms": millis(self.oldest),
            "stale_files": self.stale_files,
            "told": self.told,
        })
    }
}

/// How long ago a row was written, by its own column.
pub(crate) fn age(written_micros: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_micros(u64::try_from(written_micros).unwrap_or_default()))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
