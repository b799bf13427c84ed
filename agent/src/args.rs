//! What the command line says; the only reader of flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ledger::{CtlDbUrl, CtlDbUrlError};

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
}

impl Args {
    /// Reads the files that the flags name.
    ///
    /// # Errors
    /// The URL's file cannot be read, or holds no URL.
    pub fn config(self) -> Result<Config, ArgsError> {
        let Self { ldb_dir, ctldb_url_file: path, read_bind, admin_bind, poll_interval } = self;
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ArgsError::Read { path: path.clone(), source })?;
        let ctldb = CtlDbUrl::parse(&text)
            .map_err(|source| ArgsError::Url { path: path.clone(), source })?;
        let ctldb_url_file = Some(path);
        Ok(Config { ldb_dir, ctldb, ctldb_url_file, read_bind, admin_bind, poll_interval })
    }
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
