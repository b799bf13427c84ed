//! Flags of the commands that write: `writer`, `mutate` and `heartbeat`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use crate::args::{Admin, Executive, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Writer {
    /// Make a writer known with its secret, and say which families it may write
    #[command(
        after_help = "Exit code: 0 it is known, 1 error, 2 usage.\n\nExample: ctlstore writer register importer --secret-file /etc/ctlstore/secret --family billing --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Register {
        /// Its name.
        writer: String,
        /// A file with its secret: 3 to 100 bytes, and a line break at the end does not count.
        #[arg(long, value_name = "FILE", env = "CTLSTORE_SECRET_FILE")]
        secret_file: PathBuf,
        /// A family that it may write; once for each. Without any, what was said before stays, and a new writer may write
        /// all.
        #[arg(long = "family", value_name = "FAMILY")]
        families: Vec<String>,
        #[command(flatten)]
        admin: Admin,
    },
}

/// Who writes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Credentials {
    /// The writer's name.
    #[arg(long, value_name = "NAME", env = "CTLSTORE_WRITER")]
    pub(crate) writer: String,
    /// A file with the writer's secret; a line break at its end does not count.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_SECRET_FILE")]
    pub(crate) secret_file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line is one change: {\"table\": \"plans\", \"values\": {\"id\": \"pro\", …}}, or with \"delete\": true and the key as values. \
                  The writer's cookie says how far it came, so that the same command, given again after whatever happened, goes on behind the last line that was written: each line is written once.\n\n\
                  Exit code: 0 all is written, 1 error, 2 usage.\n\nExample: ctlstore mutate billing rows.jsonl --writer importer --secret-file /etc/ctlstore/secret --url http://ctlstore-executive:8080"
)]
pub(crate) struct Mutate {
    /// The family that all lines write to.
    pub(crate) family: String,
    /// The file with the lines; - is standard input.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) executive: Executive,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
    /// Lines that are written at once: all of them, or none. 100 are the most that an executive takes.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) batch: u8,
    /// Forget how far the writer came, and write from the first line on.
    #[arg(long)]
    pub(crate) from_start: bool,
    /// Refuse columns that a table does not have, rather than pass them over.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Why, for those who look at the history of a row; kept with each batch.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// How long an executive that is away, busy or over its limits is waited for before this gives up.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = daemon::duration::parse)]
    pub(crate) patience: Duration,
    /// How to print what was done.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The operator's leader and ctlstore dev do this by themselves; this is for a ctldb with neither.\n\n\
                  Exit code: 0 after Ctrl-C or SIGTERM, 1 error, 2 usage.\n\nExample: ctlstore heartbeat --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token --secret-file /etc/ctlstore/secret"
)]
pub(crate) struct Heartbeat {
    #[command(flatten)]
    pub(crate) executive: Executive,
    /// A file with an admin token, alone or as NAME:TOKEN. Not needed where the executive runs with --open-admin.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The writer's name.
    #[arg(long = "writer-name", value_name = "NAME", default_value = "heartbeat")]
    pub(crate) writer: String,
    /// A file with the writer's secret; a line break at its end does not count.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_SECRET_FILE")]
    pub(crate) secret_file: PathBuf,
    /// The family.
    #[arg(long = "family-name", value_name = "NAME", default_value = "ctlstore")]
    pub(crate) family: String,
    /// The table.
    #[arg(long = "table-name", value_name = "NAME", default_value = "heartbeats")]
    pub(crate) table: String,
    /// Time between two beats; the original's default.
    #[arg(long = "heartbeat-interval", value_name = "TIME", default_value = "15s", value_parser = daemon::duration::parse)]
    pub(crate) interval: Duration,
}
