//! The command line. Services keep their flags in their own crates; what a person types is here, a file for each group.

mod doctor;
mod embedded;
mod executive;
mod ldb;
mod ledger;
mod limits;
mod node;
mod rebuild;
mod schema;
mod watch;
mod writing;

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use crate::args::doctor::{Doctor, Status};
pub(crate) use crate::args::embedded::{Demo, Dev};
pub(crate) use crate::args::executive::{Admin, Executive};
pub(crate) use crate::args::ldb::Ldb;
pub(crate) use crate::args::ledger::{CtlDbCommand, CtlDbFile, History, Ledger, Prune, Skipped};
pub(crate) use crate::args::limits::{Limits, TableLimits, WriterLimits};
pub(crate) use crate::args::node::{Get, Output, Scan, Source, Wait};
pub(crate) use crate::args::rebuild::{Agent, AgentCommand, Rebuild};
pub(crate) use crate::args::schema::{Family, Field, Fields, Sure, Table, TableName};
pub(crate) use crate::args::watch::Watch;
pub(crate) use crate::args::writing::{Heartbeat, Mutate, Writer};

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
    /// A file with a filter that goes before --log, read again every second: finer logs without a restart. It need not be
    /// there; a filter that makes no sense is told, and changes nothing.
    #[arg(long, value_name = "FILE", global = true, env = "CTLSTORE_LOG_FILTER_FILE")]
    pub(crate) log_filter_file: Option<PathBuf>,
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
    Executive(Box<::executive::Args>),
    /// Replay the ledger into this node's LDB and serve reads
    #[command(
        after_help = "Example: ctlstore agent --ldb-dir /var/lib/ctlstore --ctldb-url-file /etc/ctlstore/ctldb-url --read-bind 127.0.0.1:1331"
    )]
    Agent(Box<Agent>),
    /// Serve reads of an LDB in a process of its own, as the original's sidecar does
    #[command(
        after_help = "Example: ctlstore sidecar --ldb /var/lib/ctlstore --bind 127.0.0.1:1331"
    )]
    Sidecar(Box<agent::args::SidecarArgs>),
    /// Upload snapshots for new nodes to begin with, in a process of its own
    #[command(
        after_help = "Example: ctlstore snapshotter --ctldb-url-file /etc/ctlstore/ctldb-url --snapshot-url s3://ctlstore-snapshots/prod?region=eu-west-1"
    )]
    Snapshotter(Box<agent::args::SnapshotterArgs>),
    /// Run everything in one process on this machine, with SQLite in place of MySQL
    Dev(Dev),
    /// Declare a table, write rows, read them back from the LDB, print how long each step took, and end
    Demo(Demo),
    /// Read one row by its whole key
    Get(Get),
    /// Read the rows whose key begins with the given columns; all rows without any
    Scan(Scan),
    /// Say where a node's LDB stands and how its agent is, or an executive
    Status(Status),
    /// Say what is wrong with a node's LDB, and the cure
    Doctor(Doctor),
    /// Wait until the LDB has reached a ledger sequence
    Wait(Wait),
    /// Print changes of a node's LDB as they come
    Watch(Watch),
    /// Make LDBs without an agent
    #[command(subcommand)]
    Ldb(Ldb),
    /// Make families, through the executive
    #[command(subcommand)]
    Family(Family),
    /// Make, change and show tables, through the executive
    #[command(subcommand)]
    Table(Table),
    /// Make writers known, through the executive
    #[command(subcommand)]
    Writer(Writer),
    /// Write rows from lines of JSON, through the executive; each line once, however often it is begun again
    Mutate(Mutate),
    /// Say how large tables may grow and how much writers may write, through the executive
    #[command(subcommand)]
    Limits(Limits),
    /// Show the versions of a row that are in the ledger: when, what, who and why
    History(History),
    /// Look into the ledger, and after it
    #[command(subcommand)]
    Ledger(Ledger),
    /// Write a beat into the ledger at regular times, so that the lag of nodes can be told from silence
    Heartbeat(Heartbeat),
    /// Look after the system of record
    #[command(subcommand)]
    Ctldb(CtlDbCommand),
    /// Print what lets a shell complete commands and flags
    #[command(after_help = "Example: ctlstore completions bash")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print docs/metrics.md, made of what the services register
    #[command(hide = true, after_help = "Example: ctlstore metrics-doc")]
    MetricsDoc,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Else clap takes the one for the other, and panics when somebody uses it.
    #[test]
    fn no_flag_of_a_command_is_named_as_one_of_all_commands() {
        fn walk(command: &clap::Command, globals: &[clap::Id]) {
            for argument in command.get_arguments() {
                assert!(!globals.contains(argument.get_id()), "{}: {argument}", command.get_name());
            }
            command.get_subcommands().for_each(|below| walk(below, globals));
        }
        let command = Cli::command();
        let globals: Vec<_> = command.get_arguments().map(|own| own.get_id().clone()).collect();
        command.get_subcommands().for_each(|below| walk(below, &globals));
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

    /// The paths of all commands that do something.
    fn commands(path: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name()).trim_start().to_owned();
            match below.has_subcommands() {
                true => commands(&path, below, all),
                false => all.push((path, below.clone())),
            }
        }
    }

    #[test]
    fn what_a_command_prints_can_be_had_as_json() {
        // Those which print no answer: services, whose JSON is their log, shows for people, and texts for other programs.
        let silent = ["operator", "executive", "agent", "snapshotter", "sidecar", "heartbeat"];
        let shows = ["dev", "demo"];
        let texts = ["completions", "metrics-doc"];
        let mut all = Vec::new();
        commands("", &Cli::command(), &mut all);
        assert!(all.len() > 30, "{}", all.len());
        for (path, command) in all {
            if [&silent[..], &shows, &texts].concat().contains(&path.as_str()) {
                continue;
            }
            let output = command.get_arguments().find(|arg| arg.get_id() == "output");
            let values = output.map(|output| output.get_possible_values()).unwrap_or_default();
            let json = values.iter().any(|value| value.get_name() == "json");
            assert!(json, "ctlstore {path} prints, and has no --output json");
        }
    }

    #[test]
    fn every_command_has_an_example_that_is_true() {
        let command = Cli::command();
        let mut all = Vec::new();
        commands("", &command, &mut all);
        for (path, command) in all {
            assert!(!examples(&command).is_empty(), "ctlstore {path} has no example");
        }
        let examples = examples(&command);
        for example in examples {
            Cli::try_parse_from(&example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
        }
    }
}
