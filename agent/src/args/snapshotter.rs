//! What the command line says of a process that only uploads snapshots.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use store::Location;

use crate::args::{
    ArgsError, Config, PresenceArgs, ReadArgs, SnapshotArgs, TakingArgs, ctldb_url, interval,
};

/// Flags of `ctlstore snapshotter`: an agent that always uploads and that nobody reads from, for those who give nodes
/// credentials that may only read.
#[derive(Debug, Clone, clap::Args)]
pub struct SnapshotterArgs {
    /// Directory of its own LDB; made if it is not there. An agent's directory cannot be shared. Kept, it saves a download
    /// at each start
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore-snapshotter")]
    ldb_dir: PathBuf,
    /// File that holds the URL of ctldb: mysql://USER:PASSWORD@HOST:3306/DATABASE or sqlite:PATH. A file, because
    /// arguments are visible to everybody; read again after each failure, for passwords change
    #[arg(long, value_name = "FILE")]
    ctldb_url_file: PathBuf,
    /// Where to serve /livez, /readyz and /metrics; port 0 is any free one. Not served by default
    #[arg(long, value_name = "ADDR")]
    admin_bind: Option<SocketAddr>,
    /// How often to ask ctldb for new entries. Nobody waits for them here
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    poll_interval: Duration,
    /// Where snapshots are kept: s3://BUCKET/PREFIX?region=R&endpoint=URL&path-style=true or file:///DIR. It begins with
    /// the newest one, too. Credentials never stand in it
    #[arg(long, value_name = "URL", value_parser = super::snapshot::location)]
    snapshot_url: Location,
    #[command(flatten)]
    taking: TakingArgs,
}

impl SnapshotterArgs {
    /// Reads the files that the flags name.
    ///
    /// # Errors
    /// The URL's file cannot be read, or holds no URL.
    pub fn config(self) -> Result<Config, ArgsError> {
        let Self { ldb_dir, ctldb_url_file, admin_bind, poll_interval, snapshot_url, taking } =
            self;
        let ctldb = ctldb_url(&ctldb_url_file)?;
        Ok(Config {
            ctldb_url_file: Some(ctldb_url_file),
            admin_bind,
            poll_interval,
            snapshot: SnapshotArgs { taking, ..SnapshotArgs::always(snapshot_url) },
            read: ReadArgs { read_socket: false, ..ReadArgs::default() },
            presence: PresenceArgs { presence: false, ..PresenceArgs::default() },
            ..Config::new(ldb_dir, ctldb)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Uploader;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: SnapshotterArgs,
    }

    #[test]
    fn it_always_uploads_and_serves_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "sqlite:x").unwrap();
        let given = ["snapshotter", "--ctldb-url-file", file.to_str().unwrap()];
        assert!(Cli::try_parse_from(given).is_err(), "a place is needed");
        let place = ["--snapshot-url=file:///snapshots", "--snapshot-interval=1m"];
        let cli = Cli::try_parse_from(given.iter().chain(&place)).unwrap();
        let config = cli.args.config().unwrap();
        assert_eq!(config.snapshot.snapshot_upload, Uploader::Always);
        assert_eq!(config.snapshot.taking.snapshot_interval, Duration::from_secs(60));
        assert!(config.read_bind.is_none() && !config.read.read_socket);
        assert!(!config.presence.presence);
    }
}
