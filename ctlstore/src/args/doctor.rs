//! Flags of the commands that tell how something is: `status` and `doctor`.

use std::path::PathBuf;

use crate::args::{Output, Source};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 it was told (with --watch: after Ctrl-C), 1 error, 2 usage.\n\nExample: ctlstore status --ldb /var/lib/ctlstore --watch\nExample: ctlstore status --url http://127.0.0.1:1331 --output json"
)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Ask a process instead: http://HOST:PORT or https://HOST:PORT of an agent's read API or of an executive, or
    /// unix:/PATH of an agent's socket.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A PEM file of the authorities that may vouch for the certificate at --url.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_CA_FILE", requires = "url")]
    pub(crate) ca_file: Option<PathBuf>,
    /// A file with a token to show at --url, alone or as NAME:TOKEN.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_TOKEN_FILE", requires = "url")]
    pub(crate) token_file: Option<PathBuf>,
    /// Go on, with a line every second, until Ctrl-C. What cannot be asked for a while is told and asked again.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "It disturbs neither the agent nor readers, and may be run at any time.\n\nExit code: 0 no check fails, 1 error, 2 usage, 3 a check fails.\n\nExample: ctlstore doctor --ldb /var/lib/ctlstore --ctldb-url-file /etc/ctlstore/ctldb-url"
)]
pub(crate) struct Doctor {
    /// The LDB's directory.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore", env = "CTLSTORE_PATH")]
    pub(crate) ldb: PathBuf,
    /// A file that holds ctldb's URL: ask it, too.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_CTLDB_URL_FILE")]
    pub(crate) ctldb_url_file: Option<PathBuf>,
    /// Where agents keep snapshots (s3://BUCKET/PREFIX?OPTIONS or file:///DIR): ask there, too.
    #[arg(long, value_name = "URL", env = "CTLSTORE_SNAPSHOT_URL")]
    pub(crate) snapshot_url: Option<String>,
    /// The executive's address: ask it, too.
    #[arg(long, value_name = "URL", env = "CTLSTORE_URL")]
    pub(crate) executive_url: Option<String>,
    /// A PEM file of the authorities that may vouch for the executive's certificate.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}
