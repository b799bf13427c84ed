//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures ctlstore beside what it is compared with, in one run, and says whether the budgets are kept.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Args {
    /// What is measured, one after the other; without a name, they are listed.
    pub(crate) scenarios: Vec<Scenario>,
    /// How often each contender runs; the median counts.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Ledger entries in the replay scenario; the budget is stated for 36,000.
    #[arg(long, default_value_t = 36_000)]
    pub(crate) entries: u64,
    /// How long the idle agent is watched, in seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) idle_seconds: u64,
    /// Size of the LDB in the bootstrap scenario, in MB; its budgets hold for 1000, too.
    #[arg(long, default_value_t = 100)]
    pub(crate) ldb_mb: u64,
    /// Where LDBs and ledgers are put: the disk that is measured. Default: the system's folder for temporary files.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Append the figures to this file, a JSON object a line.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// What the bench asks of itself in another process.
    #[arg(hide = true, last = true)]
    pub(crate) child: Vec<String>,
}

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// An agent catches up with 36,000 entries, beside plain loops
    Replay,
    /// From the commit in ctldb until another process sees it on the node
    Visible,
    /// A fresh node from a snapshot, beside plain download and decompression; taking one, beside zstd and replay
    Bootstrap,
    /// Memory and CPU of an agent with nothing to do
    Idle,
    /// Writes over HTTP and through ctldb, beside bare sqlx
    Executive,
    /// Point reads beside raw SQLite and LMDB; also with 1,000 processes, under writes, after ADD COLUMN
    Ldb,
    /// One-row reads over HTTP beside a raw hyper server, by TCP and by Unix socket
    Http,
    /// What 1,000 agents that report themselves cost the API server and the operator
    Presence,
}
