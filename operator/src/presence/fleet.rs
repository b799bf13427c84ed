//! What is known of every node: a few words from its agent's Lease and pod. Clones share it.
//!
//! Nodes' clocks are not trusted: an agent lives for as long as its Lease changes before our own eyes. The time that stands
//! in the Lease only tells how old it was when we first saw it.

use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crds::presence::{NodeReport, lease_name, node_of};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use ledger::Mark;
use tokio::time::Instant;

use crate::presence::census::{Census, Standing};
use crate::presence::listed::Listed;
use crate::presence::objects::AgentPod;
use crate::prune::Nodes;
use crate::watch::Sink;

/// A node that was silent for so long is forgotten, and keeps no entry of the ledger.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A Lease that was not renewed for so long is of a node that is gone,
const GONE: Duration = Duration::from_secs(3600);
/// if we have looked at it ourselves for so long: the node's clock may be wrong, but it renews more often than that.
const WATCHED: Duration = Duration::from_secs(600);

/// What is kept of a node.
#[derive(Debug, Clone)]
struct Node {
    position: Option<Mark>,
    seq: Option<i64>,
    forked: bool,
    bootstrapped: bool,
    /// As the node says.
    renewed: Option<Timestamp>,
    /// When we first saw that.
    changed: Instant,
    /// How old it was then, as far as clocks can tell.
    age: Duration,
    /// The version of its Lease; none when there is no Lease any more.
    version: Option<String>,
}

/// A Lease of a node that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SilentLease {
    /// Its name.
    pub(crate) name: String,
    /// What is to be deleted, and no later one.
    pub(crate) version: String,
}

#[derive(Debug, Default)]
struct Known {
    /// By the name of the Lease.
    nodes: Listed<Node>,
    /// Where agents' pods are ready, by the name of the pod.
    pods: Listed<String>,
    census: Option<Arc<Census>>,
}

/// What is known of all nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fleet(Arc<Mutex<Known>>);

/// Where the nodes are is not known yet.
#[derive(Debug, thiserror::Error)]
#[error("the Leases of the nodes' agents were not listed yet")]
struct NotListed;

impl Fleet {
    /// The last census; none before the first.
    pub(crate) fn census(&self) -> Option<Arc<Census>> {
        self.lock().census.clone()
    }

    /// Takes a census, once everything was listed.
    pub(super) fn count(&self) -> Option<Arc<Census>> {
        let mut known = self.lock();
        let Known { nodes, pods, census } = &mut *known;
        if !(nodes.is_complete() && pods.is_complete()) {
            return None;
        }
        nodes.kept_mut().retain(|_, node| node.version.is_some() || node.silence() < DAY);
        let ready: BTreeSet<&str> = pods.kept().values().map(String::as_str).collect();
        let standing = |node: &str| match nodes.kept().get(&lease_name(node)) {
            None => Standing::Silent,
            Some(node) if node.forked => Standing::Forked,
            Some(Node { seq: Some(seq), .. }) => Standing::At(*seq),
            Some(_) => Standing::Empty,
        };
        let taken = Census::of(ready.into_iter().map(|node| (node, standing(node))));
        Some(Arc::clone(census.insert(Arc::new(taken))))
    }

    /// The nodes whose agents are ready, with an LDB that holds what the ledger did at some time.
    pub(super) fn usable(&self) -> HashSet<String> {
        let known = self.lock();
        let usable = |node: &&String| {
            let lease = known.nodes.kept().get(&lease_name(node));
            lease.is_some_and(|lease| lease.bootstrapped && lease.version.is_some())
        };
        known.pods.kept().values().filter(usable).cloned().collect()
    }

    /// Leases that were not renewed for an hour, at most `most`.
    pub(super) fn silent(&self, most: usize) -> Vec<SilentLease> {
        let known = self.lock();
        let silent = known.nodes.kept().iter().filter_map(|(name, node)| {
            let version = node.version.clone()?;
            let gone = node.silence() >= GONE && node.changed.elapsed() >= WATCHED;
            gone.then(|| SilentLease { name: name.clone(), version })
        });
        silent.take(most).collect()
    }

    /// What takes the watch's Leases.
    pub(crate) fn leases(&self) -> LeaseSink {
        LeaseSink(self.clone())
    }

    /// What takes the watch's pods.
    pub(crate) fn pods(&self) -> PodSink {
        PodSink(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Nodes for Fleet {
    /// Where those stand that reported within a day; a fork is no place in the ledger.
    async fn reported(&self) -> Result<Vec<Mark>, Box<dyn Error + Send + Sync>> {
        let known = self.lock();
        if !known.nodes.is_complete() {
            return Err(Box::new(NotListed));
        }
        let recent =
            known.nodes.kept().values().filter(|node| node.silence() < DAY && !node.forked);
        Ok(recent.filter_map(|node| node.position).collect())
    }
}

impl Node {
    /// For how long its agent has been silent.
    fn silence(&self) -> Duration {
        self.changed.elapsed() + self.age
    }

    fn of(lease: &Lease, before: Option<&Self>) -> Self {
        let report = NodeReport::of(&lease.metadata);
        let spec = lease.spec.as_ref();
        let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        let forked = report.is_forked();
        let NodeReport { position, seq, bootstrapped, .. } = report;
        let seen = before.filter(|before| before.renewed == renewed);
        let (changed, age) = match (seen, before) {
            (Some(seen), _) => (seen.changed, seen.age),
            // It was renewed while we looked.
            (None, Some(_)) => (Instant::now(), Duration::ZERO),
            (None, None) => (Instant::now(), renewed.map_or(Duration::ZERO, age)),
        };
        Self {
            position: position.and_then(|position| position.parse().ok()),
            seq,
            forked,
            bootstrapped,
            renewed,
            changed,
            age,
            version: lease.resource_version(),
        }
    }
}

/// A time of the future is now: its clock is wrong.
fn age(renewed: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(renewed)).unwrap_or_default()
}

/// Takes Leases of agents.
#[derive(Debug)]
pub(crate) struct LeaseSink(Fleet);

impl Sink<Lease> for LeaseSink {
    async fn take(&mut self, event: &Event<Lease>) {
        let mut known = self.0.lock();
        let name = |lease: &Lease| {
            let name = lease.metadata.name.as_deref()?;
            node_of(name).map(|_| name.to_owned())
        };
        let gone =
            known.nodes.take(event, name, |lease, before| Some(Node::of(lease, before.as_ref())));
        for name in gone {
            // Remembered for a day, for it may only have been cut off.
            if let Some(node) = known.nodes.kept_mut().get_mut(&name) {
                node.version = None;
            }
        }
    }
}

/// Takes pods of agents.
#[derive(Debug)]
pub(crate) struct PodSink(Fleet);

impl Sink<AgentPod> for PodSink {
    async fn take(&mut self, event: &Event<AgentPod>) {
        let mut known = self.0.lock();
        let name = |pod: &AgentPod| pod.meta().name.clone();
        let gone = known.pods.take(event, name, |pod, _| pod.ready_on().map(str::to_owned));
        for name in gone {
            known.pods.kept_mut().remove(&name);
        }
    }
}

#[cfg(test)]
mod tests;
