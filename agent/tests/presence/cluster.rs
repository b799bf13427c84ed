//! A namespace with agents that have exactly the rights of the chart, each with a token of its own pod.

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use serde_json::json;
use testkit::apiserver::ApiServer;

/// What the chart's Role says.
const PRESENCE: &str = include_str!("../../../charts/ctlstore/files/rights/agent-presence.yaml");
const ELECTION: &str = include_str!("../../../charts/ctlstore/files/rights/agent-election.yaml");
const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: agent}
rules:
";
const ACCOUNT: &str = "
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: agent}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: agent}
subjects: [{kind: ServiceAccount, name: agent}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: agent}
";

pub(crate) const POLICY: &str =
    include_str!("../../../charts/ctlstore/files/agent-leases-policy.yaml");

pub(crate) struct Cluster {
    pub(crate) server: &'static ApiServer,
    pub(crate) namespace: String,
}

impl Cluster {
    pub(crate) fn new() -> Result<Self> {
        // The binary does it first thing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = ApiServer::shared();
        let cluster = Self { namespace: server.create_namespace()?, server };
        cluster.apply(&[ROLE, PRESENCE, ELECTION, ACCOUNT].concat())?;
        Ok(cluster)
    }

    pub(crate) fn apply(&self, manifest: &str) -> Result<()> {
        let inside = format!("--namespace={}", self.namespace);
        self.server.kubectl_with(&["apply", &inside, "--filename=-"], manifest).map(drop)
    }

    /// The token of an agent's pod on this node, as the kubelet would ask for it.
    pub(crate) fn token(&self, node: &str) -> Result<String> {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
        self.apply(&node.to_string())?;
        let name = format!("agent-{}", node["metadata"]["name"].as_str().unwrap());
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "serviceAccountName": "agent",
                "nodeName": node["metadata"]["name"],
                "containers": [{"name": "agent", "image": "ctlstore"}],
            },
        });
        self.apply(&pod.to_string())?;
        let inside = format!("--namespace={}", self.namespace);
        let bound = format!("--bound-object-name={name}");
        let ask = ["create", "token", "agent", &inside, "--bound-object-kind=Pod", &bound];
        Ok(self.server.kubectl(&ask)?.trim().to_owned())
    }

    pub(crate) fn leases(&self, client: Client) -> Api<Lease> {
        Api::namespaced(client, &self.namespace)
    }

    /// Turns the chart's policy on for the agents of this namespace.
    pub(crate) fn enforce(&self) -> Result<()> {
        let user = format!("system:serviceaccount:{}:agent", self.namespace);
        let name = format!("{}-agent-leases", self.namespace);
        self.apply(&POLICY.replace("POLICY-NAME", &name).replace("AGENT-USER", &user))
    }
}
