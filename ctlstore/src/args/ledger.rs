//! Flags of the commands that look into the ledger and look after it and ctldb: `ledger`, `history` and `ctldb`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use crate::args::{Admin, Output, TableName};

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
    /// Show the last entries, and with --follow those to come
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore ledger tail --lines 20 --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Tail {
        /// How many of the last entries.
        #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
        lines: u16,
        /// Go on with each entry that is added, until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
        #[command(flatten)]
        admin: Admin,
    },
    /// Show one entry, with who made it and why
    #[command(
        after_help = "Exit code: 0 found, 1 error, 2 usage, 3 not found.\n\nExample: ctlstore ledger show 4711 --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Show {
        /// Its sequence.
        seq: u64,
        #[command(flatten)]
        admin: Admin,
    },
    /// Make agents pass a poison entry: they apply that sequence as empty
    #[command(
        after_help = "Example: ctlstore ledger skip 4711 --reason 'incident 42: written by hand' --ctldb-url-file /etc/ctlstore/ctldb-url"
    )]
    Skip {
        #[command(flatten)]
        skip: Skipped,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
    /// Remove old entries, as far as no snapshot and no node needs them. Says what limits it, and with --dry-run removes
    /// nothing
    #[command(
        after_help = "Exit code: 0 done, also when nothing may go, 1 error, 2 usage.\n\nExample: ctlstore ledger prune --keep 7d --dry-run --snapshot-url s3://ctlstore-prod/snapshots?region=eu-west-1 --node-positions-file positions --ctldb-url-file /etc/ctlstore/ctldb-url"
    )]
    Prune {
        #[command(flatten)]
        prune: Prune,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
    /// Check every digest and the chain, from the first entry kept
    #[command(
        after_help = "Exit code: 0 the chain holds, 1 error, 2 usage.\n\nExample: ctlstore ledger verify --ctldb-url-file /etc/ctlstore/ctldb-url"
    )]
    Verify {
        /// How to print.
        #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
}

#[derive(Debug, clap::Args)]
#[group(id = "pruning")]
pub(crate) struct Prune {
    /// Keep entries younger than this, whatever else: 7d, 36h.
    #[arg(long, value_name = "TIME", value_parser = daemon::duration::parse)]
    pub(crate) keep: Duration,
    /// Only say what would be removed, and what limits it.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where agents keep snapshots (s3://BUCKET/PREFIX?OPTIONS or file:///DIR), as for them; reading is enough. The ledger
    /// is kept from the second newest verified one on.
    #[arg(
        long,
        value_name = "URL",
        env = "CTLSTORE_SNAPSHOT_URL",
        conflicts_with = "without_snapshots"
    )]
    pub(crate) snapshot_url: Option<String>,
    /// Do not ask for snapshots. A node that begins anew without one then cannot follow any more, nor can one whose snapshot
    /// is older than what goes.
    #[arg(long)]
    pub(crate) without_snapshots: bool,
    /// File with the positions of the nodes that reported within a day, a line for each, of which the last word is the
    /// position as in the header ctlstore-position. The ledger is kept from the slowest one on.
    #[arg(long, value_name = "FILE", conflicts_with = "without_nodes")]
    pub(crate) node_positions_file: Option<PathBuf>,
    /// Do not ask where nodes are. One that is behind what goes stops and begins anew from a snapshot.
    #[arg(long)]
    pub(crate) without_nodes: bool,
    /// How to print.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Skipped {
    /// The sequence that agents are stopped at.
    pub(crate) seq: u64,
    /// Why, for those who come after you.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who does it, for those who come after you.
    #[arg(long, value_name = "NAME", default_value = "unknown", env = "USER")]
    pub(crate) principal: String,
    /// How to print.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
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
        /// How to print.
        #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 there is one, 1 error, 2 usage, 3 none is in the ledger.\n\nExample: ctlstore history billing plans pro --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) table: TableName,
    /// The key, a value for each key column in the key's order; bytes as 0x and hexadecimal digits.
    #[arg(required = true, allow_negative_numbers = true)]
    pub(crate) key: Vec<String>,
    #[command(flatten)]
    pub(crate) admin: Admin,
}
