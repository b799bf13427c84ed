//! The flags of `ctlstore executive`, and what they make.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ledger::CtlDbUrl;

use crate::files::{self, FileError};

/// Serve the HTTP API that writes rows.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address of the API; port 0 is any free one. The default is every address, since clients are other pods.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    pub bind: SocketAddr,

    /// Address of /livez, /readyz and /metrics, which are open to anyone who reaches it.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8081")]
    pub admin_bind: SocketAddr,

    /// File with the URL of ctldb (mysql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:PATH); read again on change.
    /// A file, because arguments and environments show in process lists.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_CTLDB_URL_FILE")]
    pub ctldb_url_file: PathBuf,

    /// File with admin tokens, one per line as NAME:TOKEN; read again on change. Without it, and without
    /// --open-admin, admin routes answer 401.
    #[arg(
        long,
        value_name = "FILE",
        env = "CTLSTORE_ADMIN_TOKEN_FILE",
        conflicts_with = "open_admin"
    )]
    pub admin_token_file: Option<PathBuf>,

    /// Let everyone use the admin routes, as the original does. For closed networks and trials only.
    #[arg(long)]
    pub open_admin: bool,

    /// Time for one request. The default is the original's.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = daemon::duration::parse)]
    pub handler_timeout: Duration,

    /// Requests handled at once; more get 503. Each may hold a body of 1 MiB, and writers queue for one lock anyway.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = positive)]
    pub max_in_flight: usize,

    /// Connections held at once; more wait in the kernel's queue. The default is below the usual limit of 1,024 open
    /// files.
    #[arg(long, value_name = "N", default_value_t = 900, value_parser = positive)]
    pub max_connections: usize,

    /// Time between two looks at the files above. The kubelet takes a minute anyway, and a look is cheap.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = daemon::duration::parse)]
    pub reload_interval: Duration,
}

/// What the executive needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the API.
    pub bind: SocketAddr,
    /// Address of the admin port; none when somebody else in the process serves one.
    pub admin_bind: Option<SocketAddr>,
    /// Where ctldb is.
    pub ctldb: CtlDbUrl,
    /// The file that says so, read again on change.
    pub ctldb_url_file: Option<PathBuf>,
    /// Who may use the admin routes.
    pub admin: AdminAccess,
    /// Time for one request.
    pub handler_timeout: Duration,
    /// Requests handled at once.
    pub max_in_flight: usize,
    /// Connections held at once.
    pub max_connections: usize,
    /// Time between two looks at the files.
    pub reload_interval: Duration,
}

/// Who may use the admin routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAccess {
    /// Nobody.
    Closed,
    /// Everyone.
    Open,
    /// Whoever bears a token of this file.
    TokenFile(PathBuf),
}

/// Flags that make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The file with the URL cannot be used.
    #[error("--ctldb-url-file")]
    UrlFile(#[source] FileError),
    /// The file with the tokens cannot be used.
    #[error("--admin-token-file")]
    TokenFile(#[source] FileError),
}

impl Args {
    /// Reads the files that the flags name, so that a mistake shows at start.
    ///
    /// # Errors
    /// A file cannot be read or makes no sense.
    pub fn config(self) -> Result<Config, ArgsError> {
        let admin = match (self.admin_token_file, self.open_admin) {
            (Some(file), _) => {
                files::tokens(&file).map_err(ArgsError::TokenFile)?;
                AdminAccess::TokenFile(file)
            }
            (None, true) => AdminAccess::Open,
            (None, false) => AdminAccess::Closed,
        };
        Ok(Config {
            ctldb: files::url(&self.ctldb_url_file).map_err(ArgsError::UrlFile)?,
            bind: self.bind,
            admin_bind: Some(self.admin_bind),
            ctldb_url_file: Some(self.ctldb_url_file),
            admin,
            handler_timeout: self.handler_timeout,
            max_in_flight: self.max_in_flight,
            max_connections: self.max_connections,
            reload_interval: self.reload_interval,
        })
    }
}

impl Config {
    /// With the flags' defaults, open to every admin, for a process that is one user's own (dev mode, tests).
    #[must_use]
    pub fn open(bind: SocketAddr, ctldb: CtlDbUrl) -> Self {
        Self {
            bind,
            admin_bind: None,
            ctldb,
            ctldb_url_file: None,
            admin: AdminAccess::Open,
            handler_timeout: Duration::from_secs(30),
            max_in_flight: 256,
            max_connections: 900,
            reload_interval: Duration::from_secs(5),
        }
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        // More than this, tokio's semaphore does not take.
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err("write a number from 1 to 1000000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use daemon::log::Chain;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(args: &[&str]) -> Result<Args, String> {
        let all = ["executive"].iter().chain(args);
        Cli::try_parse_from(all).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_files_are_read_at_start() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let url = file("url", "sqlite:/tmp/x.db\n");
        let tokens = file("tokens", "alice:s3cret\n");

        let config = parse(&["--ctldb-url-file", &url]).unwrap().config().unwrap();
        assert_eq!(config.admin, AdminAccess::Closed);
        assert_eq!(config.ctldb.to_string(), "sqlite:/tmp/x.db");
        assert_eq!(config.handler_timeout, Duration::from_secs(30));
        let config = parse(&["--ctldb-url-file", &url, "--admin-token-file", &tokens]);
        let config = config.unwrap().config().unwrap();
        assert_eq!(config.admin, AdminAccess::TokenFile(tokens.clone().into()));

        let fail = |args: &[&str]| Chain(&parse(args).unwrap().config().unwrap_err()).to_string();
        let bad = file("bad", "mysql://root:hunter2@h\n");
        let text = fail(&["--ctldb-url-file", &bad]);
        assert!(text.starts_with("--ctldb-url-file: ") && text.contains("bad"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let text = fail(&["--ctldb-url-file", &url, "--admin-token-file", "/nowhere/tokens"]);
        assert!(text.contains("--admin-token-file: cannot read /nowhere/tokens"), "{text}");

        assert!(parse(&[]).unwrap_err().contains("--ctldb-url-file"));
        let both = ["--ctldb-url-file", &url, "--admin-token-file", &tokens, "--open-admin"];
        assert!(parse(&both).unwrap_err().contains("cannot be used with"));
        assert!(parse(&["--ctldb-url-file", &url, "--max-in-flight", "0"]).is_err());
    }
}
