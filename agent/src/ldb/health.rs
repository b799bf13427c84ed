//! How the LDB is, for status and metrics.

use std::time::Duration;

/// A word for what the writer can do. Reads are served in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Condition {
    #[default]
    Sound,
    /// Readers hold the WAL at its limit; nothing is applied until the file may be replaced.
    Held,
    /// The disk is full, or too full to replace the file.
    NoSpace,
    /// SQLite or the disk fails; it is tried again.
    Failing,
    /// The file is bad and no new one could be begun yet.
    Damaged,
    /// The file is bad; a new one is built from the ledger.
    Rebuilding,
}

impl Condition {
    pub(crate) const ALL: [Condition; 6] = [
        Condition::Sound,
        Condition::Held,
        Condition::NoSpace,
        Condition::Failing,
        Condition::Damaged,
        Condition::Rebuilding,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Condition::Sound => "sound",
            Condition::Held => "held_by_readers",
            Condition::NoSpace => "no_space",
            Condition::Failing => "failing",
            Condition::Damaged => "damaged",
            Condition::Rebuilding => "rebuilding",
        }
    }
}

/// How the LDB is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Health {
    pub(crate) condition: Condition,
    /// The one that is served.
    pub(crate) generation: u64,
    /// Of the file that is applied to.
    pub(crate) wal_bytes: u64,
    /// What the writer waits for readers when it cuts the WAL.
    pub(crate) wal_budget: Duration,
    /// How often that was not enough.
    pub(crate) wal_failures: u64,
    /// How long ago the WAL was empty.
    pub(crate) wal_reset: Duration,
    /// Other processes that have the served generation open.
    pub(crate) attached: u64,
    /// Generations that were served before and are still there.
    pub(crate) retired: u64,
    /// Other processes that have one of them open.
    pub(crate) retired_attached: u64,
    /// How often another file took the place of the served one.
    pub(crate) switches: u64,
}
