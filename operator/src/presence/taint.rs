//! Takes the startup taint away from new nodes whose agents have their LDB.
//!
//! It is never put on a node: what is late must not make a cluster unschedulable, and reads outlive everything that may be
//! late. Nodes get it from whoever makes them, and it is theirs to put it there before the first pod comes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daemon::log::Chain;
use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use serde_json::json;

use crate::objects::MANAGER;
use crate::presence::listed::Listed;
use crate::presence::{AnyNode, Fleet};
use crate::watch::Sink;

/// On nodes that Karpenter has not finished to set up; it would put startup taints back.
const UNREGISTERED: &str = "karpenter.sh/unregistered";

/// The longest wait for one answer.
const CALL: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot take the taint {key} from node {node}")]
    Call { key: String, node: String, source: Box<kube::Error> },
    #[error("no answer within {} s to take the taint {key} from node {node}", CALL.as_secs())]
    Silent { key: String, node: String },
}

/// What is kept of a node with the taint.
#[derive(Debug, Clone)]
struct Waiting {
    taints: Vec<Taint>,
    version: Option<String>,
}

/// The nodes with the taint. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Tainted {
    key: String,
    nodes: Arc<Mutex<Listed<Waiting>>>,
}

impl Tainted {
    /// No node yet; watches tell of them.
    pub(crate) fn new(key: String) -> Self {
        Self { key, nodes: Arc::default() }
    }

    /// Takes the taint from all nodes that can be used now.
    pub(super) async fn release(&self, fleet: &Fleet, client: &Client) {
        let (mut refused, mut first) = (0_usize, None);
        for (node, waiting) in self.free(fleet) {
            match self.untaint(client, &node, &waiting).await {
                Ok(true) => tracing::info!(
                    node,
                    taint = self.key,
                    "the node's agent has its LDB, the taint is taken away"
                ),
                // Somebody else wrote the node; the next round sees what.
                Ok(false) => {}
                // The next would wait as long, and the round with them.
                Err(error @ Error::Silent { .. }) => {
                    (refused, first) = (refused + 1, Some(error));
                    break;
                }
                Err(error) => {
                    refused += 1;
                    first.get_or_insert(error);
                }
            }
        }
        // One line for a round: a right that is missing is missing for all of them.
        if let Some(error) = first {
            tracing::warn!(error = %Chain(&error), nodes = refused, "nodes stay tainted, it is tried again");
        }
    }

    fn free(&self, fleet: &Fleet) -> Vec<(String, Waiting)> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.kept().is_empty() {
            return Vec::new();
        }
        let usable = fleet.usable();
        let free = nodes.kept().iter().filter(|(node, waiting)| {
            usable.contains(*node) && !has(&waiting.taints, UNREGISTERED)
        });
        free.map(|(node, waiting)| (node.clone(), waiting.clone())).collect()
    }

    async fn untaint(&self, client: &Client, node: &str, waiting: &Waiting) -> Result<bool, Error> {
        let api = Api::<Node>::all(client.clone());
        let others: Vec<_> = waiting.taints.iter().filter(|taint| taint.key != self.key).collect();
        // The list is written whole, so only on what was read.
        let patch = json!({
            "metadata": {"resourceVersion": waiting.version},
            "spec": {"taints": if others.is_empty() { None } else { Some(others) }},
        });
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(&patch);
        let (key, named) = (self.key.clone(), node.to_owned());
        match tokio::time::timeout(CALL, api.patch_metadata(node, &params, &patch)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(false),
            Ok(Err(source)) => Err(Error::Call { key, node: named, source: Box::new(source) }),
            Err(_) => Err(Error::Silent { key, node: named }),
        }
    }
}

fn has(taints: &[Taint], key: &str) -> bool {
    taints.iter().any(|taint| taint.key == key)
}

impl Sink<AnyNode> for Tainted {
    async fn take(&mut self, event: &Event<AnyNode>) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |node: &AnyNode| node.metadata.name.clone();
        let keep = |node: &AnyNode, _| {
            let waiting = Waiting {
                taints: node.taints().to_vec(),
                version: node.metadata.resource_version.clone(),
            };
            has(&waiting.taints, &self.key).then_some(waiting)
        };
        for name in nodes.take(event, name, keep) {
            nodes.kept_mut().remove(&name);
        }
    }
}
