//! Pods and nodes with the few fields that matter here: there are thousands, and whole they are large.

use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

/// A pod of an agent.
#[derive(Debug, Clone, Deserialize, kube::Resource)]
#[resource(inherit = Pod)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentPod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    node_name: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct PodStatus {
    #[serde(default)]
    conditions: Vec<PodCondition>,
}

#[derive(Debug, Clone, Deserialize)]
struct PodCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

impl AgentPod {
    /// The node on which it is ready; none while it is not, or ends.
    pub(crate) fn ready_on(&self) -> Option<&str> {
        let ready = |said: &PodCondition| said.type_ == "Ready" && said.status == "True";
        let is_ready =
            self.metadata.deletion_timestamp.is_none() && self.status.conditions.iter().any(ready);
        self.spec.node_name.as_deref().filter(|_| is_ready)
    }
}

/// A node.
#[derive(Debug, Clone, Deserialize, kube::Resource)]
#[resource(inherit = Node)]
pub(crate) struct AnyNode {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    spec: NodeSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct NodeSpec {
    // Whole, for the list is written back.
    #[serde(default)]
    taints: Vec<Taint>,
}

impl AnyNode {
    pub(crate) fn taints(&self) -> &[Taint] {
        &self.spec.taints
    }
}
