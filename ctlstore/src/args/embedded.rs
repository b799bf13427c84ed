//! Flags of the commands that run everything in one process: `dev` and `demo`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 after Ctrl-C, 1 error, 2 usage.\n\nExample: ctlstore dev --dir .dev --manifests examples/billing"
)]
pub(crate) struct Dev {
    /// Where ctldb, the LDB and its snapshots are kept. It is made if missing, and found again at the next start.
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
    /// Time between two heartbeats, rows of ctlstore.heartbeats by which the lag of the LDB can be told from silence; 0 for
    /// none.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = daemon::duration::parse_or_off)]
    pub(crate) heartbeat_interval: Duration,
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
