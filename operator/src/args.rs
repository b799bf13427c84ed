//! The flags of `ctlstore operator`, and what they make.

mod presence;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ctldb::{ClusterName, SizeLimit};
use daemon::lease::Timing;
use ledger::CtlDbUrl;
use store::{Location, LocationError};

pub use presence::{Percent, PercentError, PresenceArgs};

use crate::budget::MaxChanges;
use crate::manifests::Manifests;
use crate::secret_file::{self, SecretFileError};

/// How often every object is looked at, for drift.
const RECHECK: Duration = Duration::from_secs(600);

/// How often the leader does its chores.
const CHORES: Duration = Duration::from_secs(60);

/// How often the ledger is pruned. What is kept is counted in days, so more often would remove little.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// Turn CtlFamily and CtlTable objects into tables and ledger entries.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// File with the URL of ctldb (mysql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:PATH); read again on change.
    /// A file, because arguments and environments show in process lists.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_CTLDB_URL_FILE")]
    pub ctldb_url_file: PathBuf,

    /// Name of this cluster. Clusters that share one ctldb must have different names, for tables belong to cluster,
    /// namespace and name. The default suits a ctldb that only one cluster uses.
    #[arg(long, value_name = "NAME", env = "CTLSTORE_CLUSTER_NAME", default_value = "default", value_parser = ClusterName::parse)]
    pub cluster_name: ClusterName,

    /// Let objects with deletionPolicy: Delete drop their tables and rows. Without it they stay and say what they wait for,
    /// since a dropped table cannot be had back.
    #[arg(long, env = "CTLSTORE_ALLOW_DROP")]
    pub allow_drop: bool,

    /// Tables that one pass may create or give columns; more wait for a confirmation. A pass ends when nothing was changed
    /// for 10 s. The default lets a team's whole folder through and stops a mistake over all of a company's.
    #[arg(long, value_name = "N", env = "CTLSTORE_MAX_CHANGES_PER_PASS", default_value_t = 100)]
    pub max_changes_per_pass: usize,

    /// Tables that one pass may drop; more wait for a confirmation. The default, because who deletes a namespace does not
    /// always mean the tables.
    #[arg(long, value_name = "N", env = "CTLSTORE_MAX_DROPS_PER_PASS", default_value_t = 1)]
    pub max_drops_per_pass: usize,

    /// Time between two heartbeats, rows of ctlstore.heartbeats by which the lag of nodes can be told from silence; 0 for
    /// none. The original's default.
    #[arg(long, value_name = "TIME", env = "CTLSTORE_HEARTBEAT_INTERVAL", default_value = "15s", value_parser = daemon::duration::parse_or_off)]
    pub heartbeat_interval: Duration,

    /// Bytes beyond which executives refuse rows of a table without limits of its own, as their flag of this name says. Here
    /// it only decides what statuses say.
    #[arg(long, value_name = "BYTES", default_value_t = SizeLimit::default().max_bytes)]
    pub max_table_size: u64,

    /// Bytes beyond which a table without limits of its own gets the condition SizeWarning.
    #[arg(long, value_name = "BYTES", default_value_t = SizeLimit::default().warn_bytes)]
    pub warn_table_size: u64,

    /// Remove ledger entries older than this, daily, as far as no snapshot and no node needs them. Off by default, for what
    /// was removed is gone from histories too. Needs --snapshot-url.
    #[arg(long, value_name = "TIME", env = "CTLSTORE_PRUNE_KEEP", value_parser = daemon::duration::parse)]
    pub prune_keep: Option<Duration>,

    /// Where agents keep snapshots (s3://BUCKET/PREFIX?OPTIONS or file:///DIR), as for them; reading is enough. Used with
    /// --prune-keep only: the ledger is kept from the second newest snapshot on.
    #[arg(long, value_name = "URL", env = "CTLSTORE_SNAPSHOT_URL")]
    pub snapshot_url: Option<String>,

    /// Address of /livez, /readyz and /metrics, which are open to anyone who reaches it.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8081")]
    pub admin_bind: SocketAddr,

    /// About agents.
    #[command(flatten)]
    pub presence: PresenceArgs,

    /// kubeconfig file of the cluster. Without it, the pod's service account, or what kubectl would take.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace of the Lease by which one of several operators leads.
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,

    /// Name of that Lease. Two releases in one cluster need two, and two cluster names.
    #[arg(long, value_name = "NAME", default_value = "ctlstore-operator")]
    pub lease_name: String,

    /// Name of this pod, for the Lease and for events; a random part is added, because a container that restarts keeps
    /// its pod's name.
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "operator")]
    pub pod_name: String,
}

/// What the operator needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where ctldb is.
    pub ctldb: CtlDbUrl,
    /// The file that says so, read again on change.
    pub ctldb_url_file: Option<PathBuf>,
    /// The name of the cluster.
    pub cluster_name: ClusterName,
    /// May tables be dropped?
    pub allow_drop: bool,
    /// How many tables one pass may change.
    pub max_changes: MaxChanges,
    /// Address of the admin port; none when somebody else in the process serves one.
    pub admin_bind: Option<SocketAddr>,
    /// How often every object is looked at.
    pub recheck: Duration,
    /// How often the leader does its chores.
    pub chores: Duration,
    /// Time between two heartbeats; none are written at zero.
    pub heartbeat: Duration,
    /// The limit of tables without one of their own.
    pub table_size: SizeLimit,
    /// How the ledger is pruned, if it is.
    pub prune: Option<Prune>,
    /// Which agents there are, and how many of them must have a table.
    pub presence: PresenceArgs,
    /// Where objects come from.
    pub source: Source,
}

/// How the ledger is pruned.
#[derive(Debug, Clone)]
pub struct Prune {
    /// Entries younger than this stay.
    pub keep: Duration,
    /// Where snapshots are, from the second newest of which on the ledger is kept.
    pub snapshots: Location,
    /// How often.
    pub every: Duration,
}

/// Where objects come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A Kubernetes cluster.
    Cluster(Cluster),
    /// A folder: dev mode.
    Manifests(Manifests),
}

/// How to reach the cluster, and as whom.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// A kubeconfig file; without it, what the surroundings say.
    pub kubeconfig: Option<PathBuf>,
    /// The Lease's namespace.
    pub lease_namespace: String,
    /// The Lease's name.
    pub lease_name: String,
    /// The first part of our identity.
    pub pod_name: String,
    /// The times of the election.
    pub timing: Timing,
}

/// Flags that make no sense.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The file of `--ctldb-url-file`.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// Nobody would be warned.
    #[error(
        "--warn-table-size {warn} is above --max-table-size {max}: nobody would be warned, lower it"
    )]
    Sizes {
        /// The size that is warned of.
        warn: u64,
        /// The size that is refused.
        max: u64,
    },
    /// It would not be known what nodes need that begin anew.
    #[error(
        "--prune-keep needs --snapshot-url: say where snapshots are, for a node that begins anew needs what follows them"
    )]
    NoSnapshots,
    /// No place of snapshots.
    #[error("--snapshot-url names no place where snapshots are")]
    Snapshots(#[from] LocationError),
}

impl Args {
    /// Reads the file that the flags name, so that a mistake shows at start.
    ///
    /// # Errors
    /// The file cannot be read or holds no URL, a warning would come after the refusal, or pruning lacks its limits.
    pub fn config(self) -> Result<Config, ArgsError> {
        let (max, warn) = (self.max_table_size, self.warn_table_size);
        if warn > max {
            return Err(ArgsError::Sizes { warn, max });
        }
        let prune = match (self.prune_keep, self.snapshot_url.as_deref()) {
            (None, _) => None,
            (Some(_), None) => return Err(ArgsError::NoSnapshots),
            (Some(keep), Some(url)) => {
                Some(Prune { keep, snapshots: Location::parse(url)?, every: DAILY })
            }
        };
        Ok(Config {
            ctldb: secret_file::read(&self.ctldb_url_file)?,
            ctldb_url_file: Some(self.ctldb_url_file),
            cluster_name: self.cluster_name,
            allow_drop: self.allow_drop,
            max_changes: MaxChanges {
                growing: self.max_changes_per_pass,
                drops: self.max_drops_per_pass,
            },
            admin_bind: Some(self.admin_bind),
            recheck: RECHECK,
            chores: CHORES,
            heartbeat: self.heartbeat_interval,
            table_size: SizeLimit { max_bytes: max, warn_bytes: warn },
            prune,
            presence: self.presence,
            source: Source::Cluster(Cluster {
                kubeconfig: self.kubeconfig,
                lease_namespace: self.lease_namespace,
                lease_name: self.lease_name,
                pod_name: self.pod_name,
                timing: Timing::default(),
            }),
        })
    }
}

impl Config {
    /// Dev mode: the manifests' owner is the only user, so nothing is held back but drops.
    #[must_use]
    pub fn dev(ctldb: CtlDbUrl, manifests: Manifests) -> Self {
        Self {
            ctldb,
            ctldb_url_file: None,
            cluster_name: ClusterName::parse("dev").expect("BUG: it is a DNS label"),
            allow_drop: false,
            max_changes: MaxChanges::UNLIMITED,
            admin_bind: None,
            recheck: RECHECK,
            chores: CHORES,
            heartbeat: Duration::ZERO,
            table_size: SizeLimit::default(),
            prune: None,
            presence: PresenceArgs::default(),
            source: Source::Manifests(manifests),
        }
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
        let all = ["operator"].iter().chain(args);
        Cli::try_parse_from(all).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_flags_make_a_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "mysql://op:s3cret@db/ctldb\n").unwrap();
        let file = file.to_str().unwrap();
        let config = parse(&["--ctldb-url-file", file]).unwrap().config().unwrap();
        assert_eq!(config.max_changes, MaxChanges { growing: 100, drops: 1 });
        assert!(!config.allow_drop);
        assert!(!format!("{config:?}").contains("s3cret"));
        let args = ["--ctldb-url-file", file, "--allow-drop", "--cluster-name", "prod-1"];
        let config = parse(&args).unwrap().config().unwrap();
        assert!(config.allow_drop && config.prune.is_none(), "pruning is off by default");
        assert_eq!(config.cluster_name.as_str(), "prod-1");
    }

    #[test]
    fn mistakes_show_at_start_with_their_cure() {
        for name in ["", "Prod", "a_b", "-a", "a-", &"a".repeat(64)] {
            let flag = format!("--cluster-name={name}");
            let error = parse(&["--ctldb-url-file", "x", &flag]).unwrap_err();
            assert!(error.contains("1 to 63 lower-case letters"), "{name}: {error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        let config = || parse(&["--ctldb-url-file", file.to_str().unwrap()]).unwrap().config();
        let sizes = ["--ctldb-url-file", "x", "--max-table-size", "1", "--warn-table-size", "2"];
        let error = parse(&sizes).unwrap().config().unwrap_err();
        let prune = ["--ctldb-url-file", "x", "--prune-keep", "7d"];
        let blind = parse(&prune).unwrap().config().unwrap_err();
        assert!(blind.to_string().contains("needs --snapshot-url"), "{blind}");
        let nowhere = [&prune[..], &["--snapshot-url", "s3://key:s3cret@bucket"]].concat();
        let nowhere = Chain(&parse(&nowhere).unwrap().config().unwrap_err()).to_string();
        assert!(nowhere.contains("user or password") && !nowhere.contains("s3cret"), "{nowhere}");
        assert!(error.to_string().contains("2 is above --max-table-size 1"), "{error}");
        let text = Chain(&config().unwrap_err()).to_string();
        assert!(text.contains("put the URL of ctldb into it"), "{text}");
        std::fs::write(&file, "postgres://op:s3cret@db/ctldb").unwrap();
        let text = Chain(&config().unwrap_err()).to_string();
        assert!(text.contains("write mysql://") && !text.contains("s3cret"), "{text}");
    }
}
