//! What the command line says; the only reader of flags. Flags that belong together are a group in a file of its own.

mod bootstrap;
mod changes;
mod presence;
mod read;
mod snapshot;
mod snapshotter;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::{CtlDbUrl, CtlDbUrlError};

pub use bootstrap::BootstrapArgs;
pub use changes::{ChangelogFormat, ChangesArgs};
pub use presence::PresenceArgs;
pub use read::{Families, ReadArgs, ServeArgs, SidecarArgs};
pub use snapshot::{SnapshotArgs, TakingArgs, Uploader};
pub use snapshotter::SnapshotterArgs;

/// Flags of `ctlstore agent`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Directory of the LDB; made if it is not there. Pods mount it read-only, so it is a directory of the node
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore")]
    pub ldb_dir: PathBuf,
    /// File that holds the URL of ctldb: mysql://USER:PASSWORD@HOST:3306/DATABASE or sqlite:PATH. A file, because
    /// arguments are visible to everybody on the node; read again after each failure, for passwords change
    #[arg(long, value_name = "FILE")]
    pub ctldb_url_file: PathBuf,
    /// Where to serve the read API, as in 127.0.0.1:1331; port 0 is any free one. Not served over TCP by default:
    /// whoever reaches it reads everything
    #[arg(long, value_name = "ADDR")]
    pub read_bind: Option<SocketAddr>,
    /// Where to serve /livez, /readyz and /metrics; port 0 is any free one. Not served by default
    #[arg(long, value_name = "ADDR")]
    pub admin_bind: Option<SocketAddr>,
    /// How often to ask ctldb for new entries: half of it is the mean delay of a write, and each node asks this often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub poll_interval: Duration,
    #[command(flatten)]
    ldb: LdbLimits,
    #[command(flatten)]
    bootstrap: BootstrapArgs,
    #[command(flatten)]
    snapshot: SnapshotArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    changes: ChangesArgs,
    #[command(flatten)]
    presence: PresenceArgs,
}

/// What the LDB may take of the disk, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct LdbLimits {
    /// The LDB's write-ahead log (WAL) is emptied when it is larger: larger means fewer pauses, smaller means faster
    /// reads
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = daemon::size::parse)]
    pub wal_soft_limit: u64,
    /// Before the WAL is so large, because a program keeps a read transaction open, the file is replaced by a copy.
    /// Without it: a quarter of the file, at least 12MiB, at most 1GiB
    #[arg(long, value_name = "SIZE", value_parser = daemon::size::parse)]
    pub wal_hard_limit: Option<u64>,
    /// For how long a file that was replaced gets changes for programs that still have it open; then they get errors
    /// instead of old rows
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = daemon::duration::parse)]
    pub retired_for: Duration,
}

impl Default for LdbLimits {
    fn default() -> Self {
        let (soft, hour) = (4 << 20, Duration::from_secs(3600));
        Self { wal_soft_limit: soft, wal_hard_limit: None, retired_for: hour }
    }
}

impl LdbLimits {
    /// What the WAL of a file of this size may have.
    pub(crate) fn hard_limit(&self, file_bytes: u64) -> u64 {
        const LEAST: u64 = 12 << 20;
        const MOST: u64 = 1 << 30;
        self.wal_hard_limit.unwrap_or_else(|| (file_bytes / 4).clamp(LEAST, MOST))
    }

    /// The same for the smallest file.
    pub(crate) fn least_hard_limit(&self) -> u64 {
        self.hard_limit(0)
    }

    /// A transaction may be larger by so much than it should be, before anybody looks.
    pub(crate) fn slack(&self) -> u64 {
        (self.least_hard_limit() / 16).min(512 << 10)
    }

    fn check(&self) -> Result<(), ArgsError> {
        match self.wal_hard_limit {
            // Else the file would be replaced before the WAL is emptied for the first time.
            Some(hard) if hard < self.wal_soft_limit.saturating_mul(2) => {
                Err(ArgsError::WalLimits { soft: self.wal_soft_limit, hard })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What the agent needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of the LDB.
    pub ldb_dir: PathBuf,
    /// Where ctldb is.
    pub ctldb: CtlDbUrl,
    /// The file that says so, read again after each failure.
    pub ctldb_url_file: Option<PathBuf>,
    /// Where to serve the read API.
    pub read_bind: Option<SocketAddr>,
    /// Where to serve health and metrics.
    pub admin_bind: Option<SocketAddr>,
    /// How often to ask ctldb.
    pub poll_interval: Duration,
    /// What the LDB may take.
    pub ldb: LdbLimits,
    /// How the node begins.
    pub bootstrap: BootstrapArgs,
    /// Where snapshots are kept, and how they are taken.
    pub snapshot: SnapshotArgs,
    /// How reads are served.
    pub read: ReadArgs,
    /// What is told of changes.
    pub changes: ChangesArgs,
    /// What the agent tells Kubernetes of itself.
    pub presence: PresenceArgs,
}

impl Config {
    /// An agent for this directory and this ledger, all else as without flags.
    #[must_use]
    pub fn new(ldb_dir: PathBuf, ctldb: CtlDbUrl) -> Self {
        Self {
            ldb_dir,
            ctldb,
            ctldb_url_file: None,
            read_bind: None,
            admin_bind: None,
            poll_interval: Duration::from_secs(1),
            ldb: LdbLimits::default(),
            bootstrap: BootstrapArgs::default(),
            snapshot: SnapshotArgs::default(),
            read: ReadArgs::default(),
            changes: ChangesArgs::default(),
            presence: PresenceArgs::default(),
        }
    }
}

/// Why the flags make no sense together.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The file is not there or not ours to read.
    #[error("cannot read {path}, the file of --ctldb-url-file", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("the file {path} of --ctldb-url-file does not say where ctldb is", path = path.display())]
    Url {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CtlDbUrlError,
    },
    /// No room between the limits.
    #[error(
        "--wal-hard-limit is {hard} bytes: it must be at least twice --wal-soft-limit, which is {soft}"
    )]
    WalLimits {
        /// Bytes.
        soft: u64,
        /// Bytes.
        hard: u64,
    },
    /// The change log has no place.
    #[error("{0}")]
    Changelog(String),
}

impl Args {
    /// Reads the files that the flags name.
    ///
    /// # Errors
    /// The URL's file cannot be read, or holds no URL.
    pub fn config(self) -> Result<Config, ArgsError> {
        let Self { ldb_dir, ctldb_url_file, read_bind, admin_bind, poll_interval, .. } = self;
        let Self { ldb, bootstrap, snapshot, read, changes, presence, .. } = self;
        ldb.check()?;
        changes.check(&ldb_dir).map_err(ArgsError::Changelog)?;
        let ctldb = ctldb_url(&ctldb_url_file)?;
        Ok(Config {
            ldb_dir,
            ctldb,
            ctldb_url_file: Some(ctldb_url_file),
            read_bind,
            admin_bind,
            poll_interval,
            ldb,
            bootstrap,
            snapshot,
            read,
            changes,
            presence,
        })
    }
}

/// The URL of ctldb that a file holds.
fn ctldb_url(path: &Path) -> Result<CtlDbUrl, ArgsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ArgsError::Read { path: path.to_owned(), source })?;
    CtlDbUrl::parse(&text).map_err(|source| ArgsError::Url { path: path.to_owned(), source })
}

/// More than an hour without a look at the ledger is a typing error.
fn interval(text: &str) -> Result<Duration, String> {
    match daemon::duration::parse(text)? {
        interval if interval <= Duration::from_secs(3600) => Ok(interval),
        _ => Err("write at most 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        let args = ["agent"].iter().chain(args);
        Cli::try_parse_from(args).map(|cli| cli.args)
    }

    #[test]
    fn flags_have_defaults_and_times_have_units() {
        let args = parse(&["--ctldb-url-file", "url"]).unwrap();
        assert_eq!(args.ldb_dir, PathBuf::from("/var/lib/ctlstore"));
        assert_eq!((args.read_bind, args.poll_interval), (None, Duration::from_secs(1)));
        let check = |text, want| assert_eq!(interval(text).ok(), want, "{text}");
        check("250ms", Some(Duration::from_millis(250)));
        check("2m", Some(Duration::from_secs(120)));
        for text in ["", "1", "s", "0s", "-1s", "1.5s", "61m", "99999999999999999999s"] {
            check(text, None);
        }
        let text = parse(&["--ctldb-url-file", "url", "--poll-interval", "1"]).unwrap_err();
        assert!(text.to_string().contains("write a duration like 30s"), "{text}");
    }

    #[test]
    fn limits_have_sizes_and_leave_room_between_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "sqlite:x").unwrap();
        let limits = |args: &[&str]| {
            let url = ["--ctldb-url-file", file.to_str().unwrap()];
            parse(&[url.as_slice(), args].concat()).unwrap().config().map(|config| config.ldb)
        };
        assert_eq!(limits(&[]).unwrap(), LdbLimits::default());
        let given = ["--wal-soft-limit=1MiB", "--wal-hard-limit=2MiB", "--retired-for=5s"];
        let want = LdbLimits {
            wal_soft_limit: 1 << 20,
            wal_hard_limit: Some(2 << 20),
            retired_for: Duration::from_secs(5),
        };
        assert_eq!(limits(&given).unwrap(), want);
        let text = limits(&["--wal-hard-limit=7MiB"]).unwrap_err().to_string();
        assert!(text.contains("at least twice --wal-soft-limit"), "{text}");
    }

    #[test]
    fn the_url_comes_from_its_file_and_is_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        let config = || {
            let args = parse(&["--ctldb-url-file", file.to_str().unwrap()]).unwrap();
            args.config()
        };
        let missing = config().unwrap_err().to_string();
        assert!(missing.contains(file.to_str().unwrap()), "{missing}");
        std::fs::write(&file, "mysql://agent:secret@db/ctldb\n").unwrap();
        let text = format!("{:?}", config().unwrap());
        assert!(text.contains("agent:***@db") && !text.contains("secret"), "{text}");
        std::fs::write(&file, "http://agent:secret@db").unwrap();
        let text = format!("{:?}", config().unwrap_err());
        assert!(!text.contains("secret"), "{text}");
    }
}
