//! The cluster that the agent lives in, and who it is there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use daemon::lease::{Candidate, Leadership, LeaseConfig, LeaseError, Timing, identity};
use daemon::log::Chain;
use kube::Client;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::sync::watch;

use crate::args::PresenceArgs;

/// A server that does not take a connection in this time is away.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no client of the cluster, though the flags name a node.
#[derive(Debug, thiserror::Error)]
enum ClusterError {
    #[error("the kubeconfig {} leads to no cluster", file.display())]
    Kubeconfig { file: PathBuf, source: KubeconfigError },
    #[error(
        "the pod's service account is not mounted, set automountServiceAccountToken or turn presence off with --presence=false"
    )]
    ServiceAccount(#[source] InClusterError),
    #[error("cannot make a client of the cluster")]
    Client(#[source] Box<kube::Error>),
}

/// The cluster, and who we are in it. Clones share the connection.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) node: String,
    pub(super) pod: String,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client: _, namespace, node, pod } = self;
        let mut shown = f.debug_struct("Cluster");
        shown.field("namespace", namespace).field("node", node).field("pod", pod).finish()
    }
}

impl Cluster {
    /// The cluster of these flags; none where they name no node or no namespace, or no way leads to the API server, which
    /// is logged and is no reason not to serve. Speaks to nobody yet.
    pub async fn of(args: &PresenceArgs) -> Option<Self> {
        match Self::find(args).await {
            Ok(found) => found,
            Err(error) => {
                if args.presence {
                    tracing::warn!(error = %Chain(&error), "the operator will not hear of this node");
                }
                None
            }
        }
    }

    async fn find(args: &PresenceArgs) -> Result<Option<Self>, ClusterError> {
        let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let (Some(node), Some(namespace)) = (given(&args.node_name), given(&args.pod_namespace))
        else {
            return Ok(None);
        };
        let mut config = match &args.kubeconfig {
            Some(file) => {
                let broken = |source| ClusterError::Kubeconfig { file: file.clone(), source };
                let parsed = Kubeconfig::read_from(file).map_err(broken)?;
                let options = KubeConfigOptions::default();
                kube::Config::from_custom_kubeconfig(parsed, &options).await.map_err(broken)?
            }
            None => kube::Config::incluster().map_err(ClusterError::ServiceAccount)?,
        };
        // Who asks pauses by himself; retries below him would multiply what a busy server has to refuse.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        let client =
            Client::try_from(config).map_err(|source| ClusterError::Client(source.into()))?;
        let pod = given(&args.pod_name).unwrap_or_else(|| node.clone());
        Ok(Some(Self { client, namespace, node, pod }))
    }

    /// A member of a cluster that somebody else has connected to, for simulations.
    #[must_use]
    pub fn with_client(client: Client, namespace: &str, node: &str) -> Self {
        let (namespace, node) = (namespace.to_owned(), node.to_owned());
        Self { client, namespace, pod: node.clone(), node }
    }

    /// One that stands for election by the Lease of this name, and the place to watch it lead.
    ///
    /// # Errors
    /// The times do not fit together.
    pub fn candidate(
        &self,
        lease: &str,
        timing: Timing,
    ) -> Result<(Candidate, watch::Receiver<Leadership>), LeaseError> {
        let config = LeaseConfig {
            namespace: self.namespace.clone(),
            name: lease.to_owned(),
            identity: identity(&self.pod),
            timing,
        };
        Candidate::new(self.client.clone(), config)
    }
}
