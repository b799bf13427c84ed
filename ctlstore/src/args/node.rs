//! Flags of the commands that read a node's LDB: `get`, `scan` and `wait`; `status` and
//! `doctor` have a file of their own.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

/// Which LDB to read, and how to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// The LDB's directory.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore", env = "CTLSTORE_PATH")]
    pub(crate) ldb: PathBuf,
    /// How to print.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A JSON object a row; bytes as base64.
    Json,
    /// For people.
    Table,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 found, 1 error, 2 usage, 3 not found.\n\nExample: ctlstore get billing plans pro --ldb /var/lib/ctlstore"
)]
pub(crate) struct Get {
    /// The family.
    pub(crate) family: String,
    /// The table.
    pub(crate) table: String,
    /// The key, a value for each key column in the key's order; bytes as 0x and hexadecimal digits.
    #[arg(required = true, allow_negative_numbers = true)]
    pub(crate) key: Vec<String>,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 (also for no rows), 1 error, 2 usage.\n\nExample: ctlstore scan billing plans --output json --ldb /var/lib/ctlstore"
)]
pub(crate) struct Scan {
    /// The family.
    pub(crate) family: String,
    /// The table.
    pub(crate) table: String,
    /// The first columns of the key; bytes as 0x and hexadecimal digits.
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: Vec<String>,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 reached, 1 error, 2 usage, 3 timed out.\n\nExample: ctlstore wait --seq 4711 --timeout 10s --ldb /var/lib/ctlstore"
)]
pub(crate) struct Wait {
    /// The sequence, as the executive's answers carry it in the header ctlstore-seq.
    #[arg(long, value_name = "N")]
    pub(crate) seq: u64,
    /// How long to wait: 500ms, 10s, 5m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = daemon::duration::parse)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) source: Source,
}
