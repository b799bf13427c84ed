//! The command line. Services keep their flags in their own crates; what a person types is here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Control data in a SQLite file on every node.
#[derive(Debug, Parser)]
#[command(name = "ctlstore", version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// How log lines look on stderr: auto is plain on a terminal and JSON elsewhere.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto, env = "CTLSTORE_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
    /// What is logged, as in RUST_LOG: a level, or levels by module ("info,agent=debug").
    #[arg(long, global = true, env = "CTLSTORE_LOG")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Auto,
    Json,
    Plain,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Turn CtlFamily and CtlTable resources into ctldb tables and ledger entries
    Operator(Box<operator::Args>),
    /// Serve the HTTP API that writes rows
    Executive(Box<executive::Args>),
    /// Replay the ledger into this node's LDB and serve reads
    Agent(Box<agent::args::Args>),
    /// Run everything in one process on this machine, with SQLite in place of MySQL
    Dev(Dev),
    /// Declare a table, write rows, read them back from the LDB, print how long each step took, and end
    Demo(Demo),
    /// Read one row by its whole key
    Get(Get),
    /// Read the rows whose key begins with the given columns; all rows without any
    Scan(Scan),
    /// Say where the LDB stands
    Status(Status),
    /// Wait until the LDB has reached a ledger sequence
    Wait(Wait),
    /// Look after the ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Look after the system of record
    #[command(subcommand)]
    Ctldb(CtlDbCommand),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// Where ctldb and the LDB are kept. It is made if missing, and found again at the next start.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// A YAML file of CtlFamily and CtlTable resources, or a folder of them; re-read on change.
    #[arg(long)]
    pub(crate) manifests: PathBuf,
    /// Where the write API listens. Port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub(crate) executive_bind: SocketAddr,
    /// Where the node's read API listens. Port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:1331")]
    pub(crate) read_bind: SocketAddr,
    /// Let resources with `deletionPolicy: Delete` really drop their tables; the second of the two keys.
    #[arg(long)]
    pub(crate) allow_drop: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// A YAML file of CtlFamily and CtlTable resources, or a folder of them.
    #[arg(long)]
    pub(crate) manifests: PathBuf,
    /// Keep what the demo makes in this folder; by default it is removed at the end.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

/// Which LDB to read, and how to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// The LDB's directory.
    #[arg(long, default_value = "/var/lib/ctlstore", env = "CTLSTORE_PATH")]
    pub(crate) ldb: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
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
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 reached, 1 error, 2 usage, 3 timed out.\n\nExample: ctlstore wait --seq 4711 --timeout 10s --ldb /var/lib/ctlstore"
)]
pub(crate) struct Wait {
    /// The sequence, as the executive's answers carry it in the header ctlstore-seq.
    #[arg(long)]
    pub(crate) seq: u64,
    /// How long to wait: 500ms, 10s, 5m.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// The LDB's directory.
    #[arg(long, default_value = "/var/lib/ctlstore", env = "CTLSTORE_PATH")]
    pub(crate) ldb: PathBuf,
}

/// How to reach ctldb.
#[derive(Debug, clap::Args)]
pub(crate) struct CtlDbFile {
    /// A file that holds ctldb's URL: mysql://USER:PASSWORD@HOST:3306/DATABASE, or sqlite:PATH. A file, because
    /// everybody on a machine can read the arguments of its processes.
    #[arg(long)]
    pub(crate) ctldb_url_file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Make agents pass a poison entry: they apply that sequence as empty
    Skip {
        /// The sequence that agents are stopped at.
        seq: u64,
        /// Why, for those who come after you.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
    /// Check every digest and the chain, from the first entry kept
    Verify {
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlDbCommand {
    /// Begin a new history, after ctldb was restored from a backup or failed over with a lost tail
    NewHistory {
        /// The highest sequence that any node or snapshot has seen; the new history begins above it.
        #[arg(long)]
        above: u64,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let found = units.iter().find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, millis)));
    let number =
        found.and_then(|(number, millis)| number.parse::<u64>().ok()?.checked_mul(*millis));
    number
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a duration, write 500ms, 10s or 5m"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert!(duration("10").unwrap_err().contains("write 500ms, 10s or 5m"));
        assert!(duration("-1s").is_err());
    }
}
