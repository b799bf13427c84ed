//! The command line. Services keep their flags in their own crates; what a person types is here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// The release, and the formats that it writes.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let release = env!("CARGO_PKG_VERSION");
    let (schema, layout) = (ctldb::VERSION, reader::layout::VERSION);
    format!(
        "{release} (ctldb schema {schema}, LDB layout {layout}, LDB format {})",
        reader::layout::META_FORMAT
    )
});

/// Control data in a SQLite file on every node.
#[derive(Debug, Parser)]
#[command(name = "ctlstore", version = VERSION.as_str(), subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// How log lines look on stderr: auto is plain on a terminal and JSON elsewhere.
    #[arg(long, value_name = "FORM", global = true, value_enum, default_value_t = LogFormat::Auto, env = "CTLSTORE_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
    /// What is logged, as in RUST_LOG: a level, or levels by module ("info,agent=debug").
    #[arg(long, value_name = "FILTER", global = true, env = "CTLSTORE_LOG")]
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
    #[command(
        after_help = "Example: ctlstore operator --ctldb-url-file /etc/ctlstore/ctldb-url --cluster-name prod-eu"
    )]
    Operator(Box<operator::Args>),
    /// Serve the HTTP API that writes rows
    #[command(
        after_help = "Example: ctlstore executive --ctldb-url-file /etc/ctlstore/ctldb-url --admin-token-file /etc/ctlstore/tokens"
    )]
    Executive(Box<executive::Args>),
    /// Replay the ledger into this node's LDB and serve reads
    #[command(
        after_help = "Example: ctlstore agent --ldb-dir /var/lib/ctlstore --ctldb-url-file /etc/ctlstore/ctldb-url --read-bind 127.0.0.1:1331"
    )]
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
#[command(
    after_help = "Exit code: 0 after Ctrl-C, 1 error, 2 usage.\n\nExample: ctlstore dev --dir .dev --manifests examples/billing"
)]
pub(crate) struct Dev {
    /// Where ctldb and the LDB are kept. It is made if missing, and found again at the next start.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// A YAML file of CtlFamily and CtlTable resources, or a folder of them; re-read on change.
    #[arg(long, value_name = "PATH")]
    pub(crate) manifests: PathBuf,
    /// Where the write API listens. Port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) executive_bind: SocketAddr,
    /// Where the node's read API listens. Port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1331")]
    pub(crate) read_bind: SocketAddr,
    /// Let resources with `deletionPolicy: Delete` really drop their tables; the second of the two keys.
    #[arg(long)]
    pub(crate) allow_drop: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 all went well, 1 error, 2 usage.\n\nExample: ctlstore demo --manifests examples/billing"
)]
pub(crate) struct Demo {
    /// A folder of YAML files of CtlFamily and CtlTable resources.
    #[arg(long, value_name = "PATH")]
    pub(crate) manifests: PathBuf,
    /// The batch to write, as the write API takes it; by default batches/rows.json in that folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) batch: Option<PathBuf>,
    /// Keep what the demo makes in this folder; by default it is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

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
    after_help = "Exit code: 0 there is an LDB, 1 error, 2 usage.\n\nExample: ctlstore status --ldb /var/lib/ctlstore"
)]
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
    #[arg(long, value_name = "N")]
    pub(crate) seq: u64,
    /// How long to wait: 500ms, 10s, 5m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = daemon::duration::parse)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) source: Source,
}

/// How to reach ctldb.
#[derive(Debug, clap::Args)]
pub(crate) struct CtlDbFile {
    /// A file that holds ctldb's URL: mysql://USER:PASSWORD@HOST:3306/DATABASE, or sqlite:PATH. A file, because
    /// everybody on a machine can read the arguments of its processes.
    #[arg(long, value_name = "FILE")]
    pub(crate) ctldb_url_file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Make agents pass a poison entry: they apply that sequence as empty
    #[command(
        after_help = "Example: ctlstore ledger skip 4711 --reason 'incident 42: written by hand' --ctldb-url-file /etc/ctlstore/ctldb-url"
    )]
    Skip {
        /// The sequence that agents are stopped at.
        seq: u64,
        /// Why, for those who come after you.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who does it, for those who come after you.
        #[arg(long, value_name = "NAME", default_value = "unknown", env = "USER")]
        principal: String,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
    /// Check every digest and the chain, from the first entry kept
    #[command(
        after_help = "Exit code: 0 the chain holds, 1 error, 2 usage.\n\nExample: ctlstore ledger verify --ctldb-url-file /etc/ctlstore/ctldb-url"
    )]
    Verify {
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlDbCommand {
    /// Begin a new history, after ctldb was restored from a backup or failed over with a lost tail
    #[command(
        after_help = "Example: ctlstore ctldb new-history --above 4711 --reason 'restored from last night' --ctldb-url-file /etc/ctlstore/ctldb-url"
    )]
    NewHistory {
        /// The highest sequence that any node or snapshot has seen; the new history begins above it.
        #[arg(long, value_name = "N")]
        above: u64,
        /// Why; it goes to the log.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Who does it; it goes to the log.
        #[arg(long, value_name = "NAME", default_value = "unknown", env = "USER")]
        principal: String,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// All examples that the help of a command and of those below it gives, as arguments.
    fn examples(command: &clap::Command) -> Vec<Vec<String>> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = help.lines().filter_map(|line| line.strip_prefix("Example: "));
        // Quoted parts are words, whatever is in them.
        let words = |line: &str| {
            let split = |(place, part): (usize, &str)| match place % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            };
            line.split('\'').enumerate().flat_map(split).collect()
        };
        let below = command.get_subcommands().flat_map(examples);
        own.map(words).chain(below).collect()
    }

    #[test]
    fn every_command_has_an_example_that_is_true() {
        let command = Cli::command();
        let leaves = |command: &clap::Command| command.get_subcommands().count().max(1);
        let commands: usize = command.get_subcommands().map(leaves).sum();
        let examples = examples(&command);
        assert_eq!(examples.len(), commands, "{examples:?}");
        for example in examples {
            Cli::try_parse_from(&example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
        }
    }
}
