//! What the agent tells Kubernetes of itself, and as whom.

use std::path::PathBuf;
use std::time::Duration;

/// Five thousand nodes then write 151 Leases a second.
const INTERVAL: Duration = Duration::from_secs(30);

/// Flags about presence in Kubernetes. Nothing else of the agent waits for Kubernetes or fails with it.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct PresenceArgs {
    /// Tell the operator how far this node is, in the Lease ctlstore-node-NODE of the pod's namespace. It is done where
    /// the node and the namespace are known, and never held up for
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub presence: bool,
    /// Name of this node, by the downward API
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,
    /// Name of this pod, by the downward API; without it, the node's name stands for it
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// Namespace of this pod, by the downward API: Leases are kept in it
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// kubeconfig file of the cluster, for an agent outside a pod. Without it, the pod's service account
    #[arg(long, value_name = "FILE", env = "CTLSTORE_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// How often the Lease is renewed; up to a fifth is added by chance. Each node writes this often to the API server,
    /// and a table is known to have come to all nodes this much later
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = daemon::duration::parse)]
    pub presence_interval: Duration,
}

impl Default for PresenceArgs {
    fn default() -> Self {
        Self {
            presence: true,
            node_name: None,
            pod_name: None,
            pod_namespace: None,
            kubeconfig: None,
            presence_interval: INTERVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: PresenceArgs,
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let args = Cli::try_parse_from(["agent"]).unwrap().args;
        // The surroundings of a test may say where it runs.
        let here = PresenceArgs { presence: true, presence_interval: INTERVAL, ..args.clone() };
        assert_eq!(args, here);
        let off = Cli::try_parse_from(["agent", "--presence=false"]).unwrap().args;
        assert!(!off.presence);
    }
}
