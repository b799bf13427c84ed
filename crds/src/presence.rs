//! What an agent tells of its node, in annotations of a Lease: the contract between agents and operator.
//!
//! Each agent renews the Lease `ctlstore-node-NODE`. It has no owner reference: the node's uid is not an agent's to know, and
//! one that belonged to the pod would be collected at each rollout, with the position that pruning waits for. The operator
//! deletes Leases that fall silent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// What the names of all these Leases begin with; the rest is the node's name.
pub const LEASE_PREFIX: &str = "ctlstore-node-";

/// Selects these Leases.
pub const LEASE_SELECTOR: &str = "ctlstore.dev/presence=node";

/// Selects those of nodes that want to build their file anew, or do.
pub const CLAIM_SELECTOR: &str = "ctlstore.dev/rebuild";

/// The name of the Lease by which one agent uploads snapshots.
pub const SNAPSHOT_LEASE: &str = "ctlstore-snapshot";

const POSITION: &str = "ctlstore.dev/position";
const SEQ: &str = "ctlstore.dev/seq";
const GENERATION: &str = "ctlstore.dev/generation";
const LAG_SECONDS: &str = "ctlstore.dev/lag-seconds";
const FREE_BYTES: &str = "ctlstore.dev/free-bytes";
const PROTOCOL: &str = "ctlstore.dev/protocol";
const STATE: &str = "ctlstore.dev/state";
const BOOTSTRAPPED: &str = "ctlstore.dev/bootstrapped";
const CLAIM: &str = "ctlstore.dev/rebuild-claim";

// The labels that the selectors speak of.
const PRESENCE: (&str, &str) = ("ctlstore.dev/presence", "node");
const REBUILD: &str = "ctlstore.dev/rebuild";
const BUILDING: &str = "building";
const CLAIMED: &str = "claimed";

/// How a node is, as its agent tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeReport {
    /// The last entry that its file has: history, sequence and digest, as the HTTP APIs write it. None before the first.
    pub position: Option<String>,
    /// Its sequence, for those who look with kubectl.
    pub seq: Option<i64>,
    /// The generation of the file.
    pub generation: Option<u64>,
    /// Age of the newest entry applied, in seconds.
    pub lag_seconds: Option<u64>,
    /// What the file system has left.
    pub free_bytes: Option<u64>,
    /// The newest version of the ledger's protocol that the agent knows.
    pub protocol: Option<u32>,
    /// What replay is doing, in a word.
    pub state: Option<String>,
    /// Its file has what the ledger had at some time: pods may read.
    pub bootstrapped: bool,
    /// It wants to build its file anew, or does.
    pub claim: Option<RebuildClaim>,
}

/// A wish to build the file anew, which must not come true on too many nodes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildClaim {
    /// Since when, by the node's own clock.
    pub since: Timestamp,
    /// It is being done; else it is waited for.
    pub building: bool,
}

/// What [`NodeReport::state`] says of a fork.
const FORKED: &str = "forked";

/// The name of a node's Lease.
#[must_use]
pub fn lease_name(node: &str) -> String {
    format!("{LEASE_PREFIX}{node}")
}

/// The node that a Lease of this name is of.
#[must_use]
pub fn node_of(lease: &str) -> Option<&str> {
    lease.strip_prefix(LEASE_PREFIX).filter(|node| !node.is_empty())
}

impl NodeReport {
    /// Its file does not come from the ledger that it is to follow, so its position means nothing there.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.state.as_deref() == Some(FORKED)
    }

    /// The labels that say it, each with its value; those without one are to be taken away.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<&'static str, Option<&'static str>> {
        let word = |claim: &RebuildClaim| if claim.building { BUILDING } else { CLAIMED };
        BTreeMap::from([(PRESENCE.0, Some(PRESENCE.1)), (REBUILD, self.claim.as_ref().map(word))])
    }

    /// The annotations that say the rest, in the same way.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<&'static str, Option<String>> {
        let Self { position, seq, generation, lag_seconds, free_bytes, protocol, state, .. } = self;
        let Self { bootstrapped, claim, .. } = self;
        let text = |value: &Option<u64>| value.map(|value| value.to_string());
        BTreeMap::from([
            (POSITION, position.clone()),
            (SEQ, seq.map(|seq| seq.to_string())),
            (GENERATION, text(generation)),
            (LAG_SECONDS, text(lag_seconds)),
            (FREE_BYTES, text(free_bytes)),
            (PROTOCOL, protocol.map(|protocol| protocol.to_string())),
            (STATE, state.clone()),
            (BOOTSTRAPPED, bootstrapped.then(|| "true".to_owned())),
            (CLAIM, claim.as_ref().map(|claim| claim.since.to_string())),
        ])
    }

    /// What the Lease with this metadata says. What is missing or makes no sense is not known.
    #[must_use]
    pub fn of(lease: &ObjectMeta) -> Self {
        let text = |name: &str| lease.annotations.as_ref()?.get(name);
        let number = |name: &str| text(name)?.parse::<u64>().ok();
        let rebuild = lease.labels.as_ref().and_then(|labels| labels.get(REBUILD));
        let claim = || {
            let building = rebuild? == BUILDING;
            Some(RebuildClaim { since: text(CLAIM)?.parse().ok()?, building })
        };
        Self {
            position: text(POSITION).cloned(),
            seq: text(SEQ).and_then(|seq| seq.parse().ok()).filter(|seq| *seq >= 0),
            generation: number(GENERATION),
            lag_seconds: number(LAG_SECONDS),
            free_bytes: number(FREE_BYTES),
            protocol: text(PROTOCOL).and_then(|protocol| protocol.parse().ok()),
            state: text(STATE).cloned(),
            bootstrapped: text(BOOTSTRAPPED).is_some_and(|said| said == "true"),
            claim: claim(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(report: &NodeReport) -> ObjectMeta {
        let labels = report.labels().into_iter();
        let labels = labels.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let annotations = report.annotations().into_iter();
        let annotations = annotations.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        ObjectMeta {
            labels: Some(labels.collect()),
            annotations: Some(annotations.collect()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn what_an_agent_says_is_what_the_operator_hears() {
        let since = "2026-01-02T03:04:05.000006Z".parse().unwrap();
        let full = NodeReport {
            position: Some("h.4711.d".to_owned()),
            seq: Some(4711),
            generation: Some(17),
            lag_seconds: Some(0),
            free_bytes: Some(u64::MAX),
            protocol: Some(1),
            state: Some(FORKED.to_owned()),
            bootstrapped: true,
            claim: Some(RebuildClaim { since, building: true }),
        };
        assert_eq!(NodeReport::of(&stored(&full)), full);
        assert!(full.is_forked());
        let waiting = RebuildClaim { since, building: false };
        let waiting = NodeReport { claim: Some(waiting), ..full };
        assert_eq!(NodeReport::of(&stored(&waiting)), waiting);
        let nothing = NodeReport::default();
        assert_eq!(stored(&nothing).annotations, Some(BTreeMap::new()));
        assert_eq!(NodeReport::of(&ObjectMeta::default()), nothing);
        // All names are always there, so that what is no longer so is taken away.
        assert_eq!(nothing.annotations().len(), waiting.annotations().len());
        assert_eq!(nothing.labels().len(), waiting.labels().len());
    }

    #[test]
    fn selectors_find_what_labels_say() {
        let of = |claim| NodeReport { claim, ..NodeReport::default() };
        let quiet = stored(&of(None)).labels.unwrap();
        let (name, value) = LEASE_SELECTOR.split_once('=').unwrap();
        assert_eq!(quiet.get(name).map(String::as_str), Some(value));
        assert!(!quiet.contains_key(CLAIM_SELECTOR));
        for building in [false, true] {
            let claim = RebuildClaim { since: Timestamp::UNIX_EPOCH, building };
            assert!(stored(&of(Some(claim))).labels.unwrap().contains_key(CLAIM_SELECTOR));
        }
    }

    #[test]
    fn nonsense_is_not_known() {
        let said = [(SEQ, "-1"), (GENERATION, "x"), (CLAIM, "soon"), (BOOTSTRAPPED, "yes")];
        let said = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let labels = BTreeMap::from([(REBUILD.to_owned(), BUILDING.to_owned())]);
        let lease = ObjectMeta {
            labels: Some(labels),
            annotations: Some(BTreeMap::from(said)),
            ..ObjectMeta::default()
        };
        assert_eq!(NodeReport::of(&lease), NodeReport::default());
    }

    #[test]
    fn a_lease_names_its_node() {
        assert_eq!(node_of(&lease_name("ip-10-0-0-1.ec2")), Some("ip-10-0-0-1.ec2"));
        assert_eq!(node_of("ctlstore-node-"), None);
        assert_eq!(node_of(SNAPSHOT_LEASE), None);
    }
}
