//! What an agent tells of its node, in annotations of a Lease: the contract between agents and operator.
//!
//! Each agent renews the Lease `ctlstore-node-NODE`. It has no owner reference: the node's uid is not an agent's to know, and
//! one that belonged to the pod would be collected at each rollout, with the position that pruning waits for. The operator
//! deletes Leases that fall silent.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What the names of all these Leases begin with; the rest is the node's name.
pub const LEASE_PREFIX: &str = "ctlstore-node-";

/// The label by which they are found, and its value.
pub const LEASE_LABEL: (&str, &str) = ("ctlstore.dev/presence", "node");

/// The name of the Lease by which one agent uploads snapshots.
pub const SNAPSHOT_LEASE: &str = "ctlstore-snapshot";

const HISTORY: &str = "ctlstore.dev/history";
const SEQ: &str = "ctlstore.dev/seq";
const GENERATION: &str = "ctlstore.dev/generation";
const LAG_SECONDS: &str = "ctlstore.dev/lag-seconds";
const FREE_BYTES: &str = "ctlstore.dev/free-bytes";
const PROTOCOL: &str = "ctlstore.dev/protocol";
const STATE: &str = "ctlstore.dev/state";
const BOOTSTRAPPED: &str = "ctlstore.dev/bootstrapped";
const CLAIM: &str = "ctlstore.dev/rebuild-claim";
const REBUILDING: &str = "ctlstore.dev/rebuilding";

/// How a node is, as its agent tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeReport {
    /// The history of the ledger that the node follows.
    pub history: Option<String>,
    /// The last entry that its file has.
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

    /// The annotations that say it, each with its value; those without one are to be taken away.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<&'static str, Option<String>> {
        let Self { history, seq, generation, lag_seconds, free_bytes, protocol, state, .. } = self;
        let Self { bootstrapped, claim, .. } = self;
        let text = |value: &Option<_>| value.map(|value: u64| value.to_string());
        let claimed = |building| claim.as_ref().filter(|claim| claim.building == building);
        BTreeMap::from([
            (HISTORY, history.clone()),
            (SEQ, seq.map(|seq| seq.to_string())),
            (GENERATION, text(generation)),
            (LAG_SECONDS, text(lag_seconds)),
            (FREE_BYTES, text(free_bytes)),
            (PROTOCOL, protocol.map(|protocol| protocol.to_string())),
            (STATE, state.clone()),
            (BOOTSTRAPPED, bootstrapped.then(|| "true".to_owned())),
            (CLAIM, claimed(false).map(|claim| claim.since.to_string())),
            (REBUILDING, claimed(true).map(|claim| claim.since.to_string())),
        ])
    }

    /// What these annotations say. What is missing or makes no sense is not known.
    #[must_use]
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| annotations.get(name);
        let number = |name: &str| text(name)?.parse::<u64>().ok();
        let claim = |name: &str, building| {
            let since = text(name)?.parse().ok()?;
            Some(RebuildClaim { since, building })
        };
        Self {
            history: text(HISTORY).cloned(),
            seq: text(SEQ).and_then(|seq| seq.parse().ok()).filter(|seq| *seq >= 0),
            generation: number(GENERATION),
            lag_seconds: number(LAG_SECONDS),
            free_bytes: number(FREE_BYTES),
            protocol: text(PROTOCOL).and_then(|protocol| protocol.parse().ok()),
            bootstrapped: text(BOOTSTRAPPED).is_some_and(|said| said == "true"),
            state: text(STATE).cloned(),
            claim: claim(REBUILDING, true).or_else(|| claim(CLAIM, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(report: &NodeReport) -> BTreeMap<String, String> {
        let said = report.annotations().into_iter();
        said.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    #[test]
    fn what_an_agent_says_is_what_the_operator_hears() {
        let since = "2026-01-02T03:04:05.000006Z".parse().unwrap();
        let full = NodeReport {
            history: Some("h".to_owned()),
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
        let waiting = RebuildClaim { since, building: false };
        let waiting = NodeReport { claim: Some(waiting), ..full };
        assert_eq!(NodeReport::of(&stored(&waiting)), waiting);
        let nothing = NodeReport::default();
        assert_eq!(stored(&nothing), BTreeMap::new());
        assert_eq!(NodeReport::of(&BTreeMap::new()), nothing);
        // All names are always there, so that what is no longer so is taken away.
        assert_eq!(nothing.annotations().len(), waiting.annotations().len());
    }

    #[test]
    fn nonsense_is_not_known() {
        let said = [(SEQ, "-1"), (GENERATION, "x"), (CLAIM, "soon"), (BOOTSTRAPPED, "yes")];
        let said = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(NodeReport::of(&BTreeMap::from(said)), NodeReport::default());
    }

    #[test]
    fn a_lease_names_its_node() {
        assert_eq!(node_of(&lease_name("ip-10-0-0-1.ec2")), Some("ip-10-0-0-1.ec2"));
        assert_eq!(node_of("ctlstore-node-"), None);
        assert_eq!(node_of(SNAPSHOT_LEASE), None);
    }
}
