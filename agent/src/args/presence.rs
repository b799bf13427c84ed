//! What the agent tells Kubernetes of itself, and as whom.

use std::path::PathBuf;
use std::time::Duration;

/// Five thousand nodes then write 151 Leases a second.
const INTERVAL: Duration = Duration::from_secs(30);

/// Oftener, a fleet would do nothing but this.
const SHORTEST: Duration = Duration::from_secs(1);
/// More seldom, others would take the node's agent for gone.
const LONGEST: Duration = Duration::from_secs(120);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = daemon::duration::parse(text)?;
    if (SHORTEST..=LONGEST).contains(&interval) {
        Ok(interval)
    } else {
        Err("write a time from 1s to 2m: operator and other agents take a node for gone that is silent for minutes".to_owned())
    }
}

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
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = interval)]
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

    #[test]
    fn renewals_neither_flood_the_api_server_nor_look_like_silence() {
        let interval = |text| Cli::try_parse_from(["agent", "--presence-interval", text]);
        for text in ["1s", "30s", "2m"] {
            assert!(interval(text).is_ok(), "{text}");
        }
        for text in ["999ms", "121s", "1h"] {
            let error = interval(text).unwrap_err().to_string();
            assert!(error.contains("from 1s to 2m"), "{error}");
        }
    }
}
