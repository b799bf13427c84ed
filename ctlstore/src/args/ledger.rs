//! Flags of the commands that look into the ledger and look after it and ctldb: `ledger`, `history` and `ctldb`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::args::{Admin, TableName};

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
    /// Check every digest and the chain, from the first entry kept
    #[command(
        after_help = "Exit code: 0 the chain holds, 1 error, 2 usage.\n\nExample: ctlstore ledger verify --ctldb-url-file /etc/ctlstore/ctldb-url"
    )]
    Verify {
        #[command(flatten)]
        ctldb: CtlDbFile,
    },
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
