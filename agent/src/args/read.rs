//! How reads are served: by the agent, and by `ctlstore sidecar`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daemon::serve::TlsFiles;
use ledger::FamilyName;

/// Flags about serving reads.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ReadArgs {
    /// Serve the read API on the Unix socket agent.sock in the LDB's directory, too: it works through a read-only mount.
    /// Whoever may open it may read the file beside it anyway, so it asks for no token
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub read_socket: bool,
    #[command(flatten)]
    /// What holds for each way to the read API.
    pub serve: ServeArgs,
}

/// Flags of everything that serves the read API.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ServeArgs {
    /// The only families that the read API serves, as in billing,routing; rows, schemas, status and changes of others are
    /// not there. Without it, all
    #[arg(long, value_name = "FAMILY,...", value_parser = families)]
    pub read_families: Option<Families>,
    /// File with bearer tokens, one per line as NAME:TOKEN; read again on change. Over TCP the read API then answers
    /// nobody else. Without it, whoever reaches the port reads
    #[arg(long, value_name = "FILE")]
    pub read_token_file: Option<PathBuf>,
    /// File with the certificate that the read API shows over TCP, PEM; read again on change. Without it, in the clear
    #[arg(long, value_name = "FILE", requires = "read_tls_key_file")]
    pub read_tls_cert_file: Option<PathBuf>,
    /// File with the certificate's private key, PEM; read again on change
    #[arg(long, value_name = "FILE", requires = "read_tls_cert_file")]
    pub read_tls_key_file: Option<PathBuf>,
    /// Most rows that /get-rows-by-key-prefix answers with (beyond it, 416); 0 is no limit, as in the original
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub read_max_rows: u64,
    /// Most bytes of rows in one answer of /v1/rows: beyond it a list goes on in the next answer. It bounds memory
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = daemon::size::parse)]
    pub read_max_bytes: u64,
    /// Time for a request: to arrive, and to wait for min-seq
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = daemon::duration::parse)]
    pub read_timeout: Duration,
    /// Most requests in hand; more get 503
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub read_max_in_flight: u32,
    /// Most clients that follow /v1/watch; more get 429
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub read_max_watchers: u32,
    /// Threads that answer. They do nothing else, so that no flood of requests holds up replay
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub read_threads: u32,
}

/// Flags of `ctlstore sidecar`.
#[derive(Debug, Clone, clap::Args)]
pub struct SidecarArgs {
    /// Directory of an agent's LDB, or the file of an original one
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore")]
    pub ldb: PathBuf,
    /// Where to serve, as in 127.0.0.1:1331, which the containers of a pod share; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1331")]
    pub bind: SocketAddr,
    /// A Unix socket to serve on, too
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where to serve /livez, /readyz and /metrics. Not served by default
    #[arg(long, value_name = "ADDR")]
    pub admin_bind: Option<SocketAddr>,
    #[command(flatten)]
    /// As of the agent.
    pub serve: ServeArgs,
}

/// The families that are served, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Families(Arc<[FamilyName]>);

impl Families {
    /// Is it one of them?
    #[must_use]
    pub fn has(&self, family: &FamilyName) -> bool {
        self.0.contains(family)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &FamilyName> {
        self.0.iter()
    }
}

impl Default for ReadArgs {
    fn default() -> Self {
        Self { read_socket: true, serve: ServeArgs::default() }
    }
}

impl Default for ServeArgs {
    fn default() -> Self {
        Self {
            read_families: None,
            read_token_file: None,
            read_tls_cert_file: None,
            read_tls_key_file: None,
            read_max_rows: 0,
            read_max_bytes: 4 << 20,
            read_timeout: Duration::from_secs(5),
            read_max_in_flight: 256,
            read_max_watchers: 100,
            read_threads: 2,
        }
    }
}

impl ServeArgs {
    /// The files of TLS, if it is asked for.
    pub(crate) fn tls(&self) -> Option<TlsFiles> {
        let (cert, key) = (self.read_tls_cert_file.clone()?, self.read_tls_key_file.clone()?);
        Some(TlsFiles { cert, key, client_ca: None })
    }
}

/// A list that names nothing would serve nothing, which nobody means.
fn families(text: &str) -> Result<Families, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: Result<Vec<_>, _> = names.map(FamilyName::parse_folded).collect();
    match names {
        Ok(names) if names.is_empty() => Err(
            "it names no family: write it like billing,routing, or leave the flag out to serve all"
                .to_owned(),
        ),
        Ok(names) => Ok(Families(names.into())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: ReadArgs,
    }

    fn parse(args: &[&str]) -> Result<ReadArgs, String> {
        let args = ["agent"].iter().chain(args);
        Cli::try_parse_from(args).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_all_is_as_by_default() {
        assert_eq!(parse(&[]).unwrap(), ReadArgs::default());
        assert!(!parse(&["--read-socket=false"]).unwrap().read_socket);
    }

    #[test]
    fn a_list_of_families_names_some() {
        let named = parse(&["--read-families", "Billing, routing"]).unwrap().serve.read_families;
        let names: Vec<_> = named.as_ref().unwrap().iter().map(FamilyName::as_str).collect();
        assert_eq!(names, ["billing", "routing"]);
        for nothing in ["", ",", " , "] {
            let text = parse(&["--read-families", nothing]).unwrap_err();
            assert!(text.contains("it names no family"), "{text}");
        }
        assert!(parse(&["--read-families", "a__b"]).is_err());
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let text = parse(&["--read-tls-cert-file", "c"]).unwrap_err();
        assert!(text.contains("--read-tls-key-file"), "{text}");
        assert_eq!(ServeArgs::default().tls(), None);
    }
}
