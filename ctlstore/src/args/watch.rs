//! Flags of `watch`.

use std::path::PathBuf;

use crate::args::Output;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends by Ctrl-C. Exit code: 0, 1 error, 2 usage.\n\nExample: ctlstore watch billing plans --ldb /var/lib/ctlstore"
)]
pub(crate) struct Watch {
    /// The family.
    pub(crate) family: String,
    /// Only this table.
    pub(crate) table: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Begin after this sequence; without it, with what changes from now on.
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<u64>,
    /// How to print.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// Where changes come from.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The LDB's directory, whose agent is asked through its socket.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore", env = "CTLSTORE_PATH")]
    pub(crate) ldb: PathBuf,
    /// The agent's or the sidecar's read API, as in http://127.0.0.1:1331.
    #[arg(long, value_name = "URL", conflicts_with_all = ["ldb", "file"])]
    pub(crate) url: Option<String>,
    /// The file that an agent writes with --changelog-path.
    #[arg(long, value_name = "FILE", conflicts_with = "ldb")]
    pub(crate) file: Option<PathBuf>,
    /// File with the bearer token that the agent wants.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}
