//! The flags of `ctlstore executive`, and what they make.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ctldb::{Limits, RateLimit, SizeLimit};
use daemon::serve::{self, TlsFiles};
use daemon::tokens::{TokenError, Tokens};
use ledger::CtlDbUrl;
use store::{Location, LocationError};

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

    /// File with the certificate that the API shows, PEM; read again on change. Without it, HTTP is in the clear.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,

    /// File with the certificate's private key, PEM; read again on change.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,

    /// File with the certificates of authorities, PEM: every client must show a certificate that one of them signed,
    /// and its subject is recorded with what its writers change. Read again on change.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_CLIENT_CA_FILE", requires = "tls_cert_file")]
    pub client_ca_file: Option<PathBuf>,

    /// Let admins clear and drop tables over HTTP. Off, as in the original, since rows do not come back.
    #[arg(long)]
    pub allow_destructive: bool,

    /// Rows that a writer may write in each --writer-limit-period, unless it has a limit of its own. The default is the
    /// original's.
    #[arg(long, value_name = "ROWS", default_value_t = 1000)]
    pub writer_limit: u64,

    /// The time that writers' rows are counted over. The default is the original's.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = daemon::duration::parse)]
    pub writer_limit_period: Duration,

    /// Bytes beyond which a table takes no more rows, unless it has a limit of its own. The default is the original's.
    #[arg(long, value_name = "BYTES", default_value_t = 100 << 20)]
    pub max_table_size: u64,

    /// Bytes beyond which a table shows in the metrics, unless it has a limit of its own. The default is the original's.
    #[arg(long, value_name = "BYTES", default_value_t = 50 << 20)]
    pub warn_table_size: u64,

    /// Where agents keep snapshots (s3://BUCKET/PREFIX?OPTIONS or file:///DIR), as for them; reading is enough. While the
    /// newest one is ahead of the ledger, ctldb was restored to an earlier state, and nothing is written. A store that is
    /// away keeps nothing from being written.
    #[arg(long, value_name = "URL", env = "CTLSTORE_SNAPSHOT_URL")]
    pub snapshot_url: Option<String>,

    /// File with the furthest position that nodes report, as in the header ctlstore-position, which may be minutes ahead of
    /// the newest snapshot; read again every few seconds. While the ledger is behind it, nothing is written.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_FLEET_POSITION_FILE")]
    pub fleet_position_file: Option<PathBuf>,

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

    /// Time for the head of a request, for the handshake of TLS, and between two requests of a connection.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = daemon::duration::parse)]
    pub head_timeout: Duration,

    /// Time for a client to take some kilobytes of an answer. Generous, for a kernel may hold megabytes before it asks
    /// for more.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = daemon::duration::parse)]
    pub write_timeout: Duration,

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
    /// The API's certificate; without it, HTTP is in the clear.
    pub tls: Option<TlsFiles>,
    /// May admins clear and drop tables over HTTP?
    pub allow_destructive: bool,
    /// What holds for writers and tables without limits of their own.
    pub limits: Limits,
    /// Where snapshots are kept, which say where the fleet is.
    pub snapshots: Option<Location>,
    /// The file that says where the fleet is.
    pub fleet_position_file: Option<PathBuf>,
    /// Time for one request.
    pub handler_timeout: Duration,
    /// Requests handled at once.
    pub max_in_flight: usize,
    /// What a connection may take.
    pub connections: serve::Limits,
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
    TokenFile(#[source] TokenError),
    /// No place of a store. The text is not repeated, since it may hold a secret.
    #[error("--snapshot-url")]
    SnapshotUrl(#[source] LocationError),
    /// Limits that make no sense.
    #[error(
        "--warn-table-size {warn} is above --max-table-size {max}: nobody would be warned, lower it"
    )]
    Sizes {
        /// The size that is warned of.
        warn: u64,
        /// The size that is refused.
        max: u64,
    },
}

impl Args {
    /// Reads the files that the flags name, so that a mistake shows at start.
    ///
    /// # Errors
    /// A file cannot be read or makes no sense.
    pub fn config(self) -> Result<Config, ArgsError> {
        let (max, warn) = (self.max_table_size, self.warn_table_size);
        if warn > max {
            return Err(ArgsError::Sizes { warn, max });
        }
        let admin = match (self.admin_token_file, self.open_admin) {
            (Some(file), _) => {
                Tokens::load(&file).map_err(ArgsError::TokenFile)?;
                AdminAccess::TokenFile(file)
            }
            (None, true) => AdminAccess::Open,
            (None, false) => AdminAccess::Closed,
        };
        let snapshots = self.snapshot_url.as_deref().map(Location::parse);
        Ok(Config {
            ctldb: files::url(&self.ctldb_url_file).map_err(ArgsError::UrlFile)?,
            bind: self.bind,
            admin_bind: Some(self.admin_bind),
            ctldb_url_file: Some(self.ctldb_url_file),
            admin,
            tls: self.tls_cert_file.zip(self.tls_key_file).map(|(cert, key)| TlsFiles {
                cert,
                key,
                client_ca: self.client_ca_file,
            }),
            allow_destructive: self.allow_destructive,
            limits: Limits {
                rate: RateLimit { rows: self.writer_limit, period: self.writer_limit_period },
                size: SizeLimit { max_bytes: max, warn_bytes: warn },
            },
            snapshots: snapshots.transpose().map_err(ArgsError::SnapshotUrl)?,
            fleet_position_file: self.fleet_position_file,
            handler_timeout: self.handler_timeout,
            max_in_flight: self.max_in_flight,
            connections: serve::Limits {
                max_connections: self.max_connections,
                head_time: self.head_timeout,
                write_time: self.write_timeout,
                ..serve::Limits::default()
            },
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
            tls: None,
            allow_destructive: false,
            limits: Limits::default(),
            snapshots: None,
            fleet_position_file: None,
            handler_timeout: Duration::from_secs(30),
            max_in_flight: 256,
            connections: serve::Limits::default(),
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
        let text = fail(&["--ctldb-url-file", &url, "--snapshot-url", "s3://key:hunter2@bucket"]);
        assert!(text.starts_with("--snapshot-url: the URL holds a user or password"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let text = fail(&["--ctldb-url-file", &url, "--admin-token-file", "/nowhere/tokens"]);
        assert!(text.contains("--admin-token-file: cannot read /nowhere/tokens"), "{text}");

        assert!(parse(&[]).unwrap_err().contains("--ctldb-url-file"));
        let url_only = ["--ctldb-url-file", &url];
        let config = |more: &[&str]| parse(&[&url_only[..], more].concat());
        assert!(config(&["--tls-cert-file", "c"]).unwrap_err().contains("--tls-key-file"));
        assert!(config(&["--client-ca-file", "c"]).unwrap_err().contains("--tls-cert-file"));
        let sizes = config(&["--warn-table-size", "2", "--max-table-size", "1"]).unwrap();
        assert!(sizes.config().unwrap_err().to_string().contains("nobody would be warned"));
        let limits = config(&["--writer-limit", "7", "--writer-limit-period", "10s"]).unwrap();
        let rate = limits.config().unwrap().limits.rate;
        assert_eq!((rate.rows, rate.period), (7, Duration::from_secs(10)));
        let both = ["--ctldb-url-file", &url, "--admin-token-file", &tokens, "--open-admin"];
        assert!(parse(&both).unwrap_err().contains("cannot be used with"));
        assert!(parse(&["--ctldb-url-file", &url, "--max-in-flight", "0"]).is_err());
    }
}
