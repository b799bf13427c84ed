//! What a process did with an LDB, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the LDB was opened, of all threads of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Whole tables that were read ([`Family::scan`](crate::Family::scan)).
    pub full_scans: u64,
    /// Reads that SQLite refused for a moment and that were tried again. A few in a million reads are normal.
    pub retries: u64,
    /// Times that all connections were closed, for the retries did not help.
    pub reopens: u64,
    /// Connections that followed the agent to a new file.
    pub switches: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    full_scans: AtomicU64,
    retries: AtomicU64,
    reopens: AtomicU64,
    switches: AtomicU64,
}

impl Counters {
    pub(crate) fn scanned(&self) {
        self.full_scans.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reopened(&self) {
        self.reopens.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn switched(&self) {
        self.switches.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            full_scans: self.full_scans.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            reopens: self.reopens.load(Ordering::Relaxed),
            switches: self.switches.load(Ordering::Relaxed),
        }
    }
}
