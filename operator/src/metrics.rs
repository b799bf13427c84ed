//! All metrics of the operator. A help text says what is counted, and after `Alert:` when that should wake somebody:
//! docs/metrics.md is made of it.

use std::time::Instant;

use ledger::{LdbTable, Seq};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::objects::Kind;

/// What came of a reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    /// It is as declared.
    Done,
    /// It was refused, for the user to mend.
    Refused,
    /// Something has to pass first; it is tried again.
    Waiting,
    /// It failed; it is tried again.
    Failed,
}

/// The kind of an object, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum KindLabel {
    #[allow(non_camel_case_types, reason = "the label's value")]
    ctlfamily,
    #[allow(non_camel_case_types, reason = "the label's value")]
    ctltable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    kind: KindLabel,
    result: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: KindLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKindName {
    /// The name of one of the three kinds that are watched.
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTable {
    family: String,
    table: String,
}

/// The metrics; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    reconciles: Family<ByOutcome, Counter>,
    durations: Family<ByKind, Histogram>,
    undecodable: Family<ByKindName, Counter>,
    events_lost: Counter,
    database: Gauge,
    leader: Gauge,
    seq: Gauge,
    warned: Family<ByTable, Gauge>,
    nodes: NodeGauges,
    pruned_through: Gauge,
    prune_failing: Gauge,
}

/// Of nodes whose agents are ready.
#[derive(Debug, Clone, Default)]
struct NodeGauges {
    ready: Gauge,
    placed: Gauge,
    least: Gauge,
}

/// A registry in which each metric has a series, for those who describe them: what a process registers, of a cluster that
/// has one of each.
///
/// # Panics
/// Never: the names are possible ones.
#[must_use]
pub fn example() -> Registry {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    metrics.reconciled(Kind::Table, Outcome::Done, Instant::now());
    metrics.undecodable("CtlTable");
    let table = LdbTable::parse("family___table").expect("BUG: it is a name");
    metrics.sizes([(table, false)].into_iter());
    registry
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 9))
            }),
            undecodable: Family::default(),
            events_lost: Counter::default(),
            database: Gauge::default(),
            leader: Gauge::default(),
            seq: Gauge::default(),
            warned: Family::default(),
            nodes: NodeGauges::default(),
            pruned_through: Gauge::default(),
            prune_failing: Gauge::default(),
        };
        let Self { reconciles, durations, undecodable, events_lost, database, leader, .. } =
            &metrics;
        let Self { seq, warned, nodes, .. } = &metrics;
        let registry = registry.sub_registry_with_prefix("ctlstore_operator");
        let help = "Reconciles by kind and result. Alert: result=\"Failed\" increases for 15 min";
        registry.register("reconciles", help, reconciles.clone());
        let help = "Time of a reconcile. Alert: none";
        let seconds = Unit::Seconds;
        registry.register_with_unit("reconcile_duration", help, seconds, durations.clone());
        let help = "Objects seen that cannot be decoded. Alert: any increase, the CRDs are not this release's";
        registry.register("undecodable_objects", help, undecodable.clone());
        let help = "Events that could not be written. Alert: none";
        registry.register("events_lost", help, events_lost.clone());
        let help = "1 while ctldb answers the leader. Alert: 0 at the leader for 5 min";
        registry.register("ctldb_up", help, database.clone());
        let help = "1 while this process leads. Alert: sum over the cluster other than 1 for 2 min";
        registry.register("leader", help, leader.clone());
        let help = "The last ledger sequence of a schema change made here. Alert: none";
        registry.register("schema_seq", help, seq.clone());
        let help = "1 when a table is larger than its warning size, as last measured. Alert: 1, for the table's owners";
        registry.register("table_size_warning", help, warned.clone());
        let help = "Nodes whose agents are ready, as the leader sees them. Alert: none";
        registry.register("nodes_ready", help, nodes.ready.clone());
        let help = "Of those, the nodes whose agents said where they are. Alert: below nodes_ready for 10 min";
        registry.register("nodes_reporting", help, nodes.placed.clone());
        let help = "Ledger sequence of the node furthest behind. Alert: unchanged for 10 min while the ledger grows";
        registry.register("nodes_least_seq", help, nodes.least.clone());
        let help = "Entries up to here were pruned from the ledger; 0 before this leader looked. Alert: none";
        registry.register("pruned_through_seq", help, metrics.pruned_through.clone());
        let help = "1 when the leader could not prune the ledger the last time. Alert: 1 for 1 day, the ledger grows";
        registry.register("prune_failing", help, metrics.prune_failing.clone());
        metrics
    }

    pub(crate) fn reconciled(&self, kind: Kind, result: Outcome, began: Instant) {
        let kind = KindLabel::from(kind);
        self.reconciles.get_or_create(&ByOutcome { kind, result }).inc();
        self.durations.get_or_create(&ByKind { kind }).observe(began.elapsed().as_secs_f64());
    }

    pub(crate) fn undecodable(&self, kind: &str) {
        self.undecodable.get_or_create(&ByKindName { kind: kind.to_owned() }).inc();
    }

    pub(crate) fn event_lost(&self) {
        self.events_lost.inc();
    }

    pub(crate) fn database(&self, available: bool) {
        self.database.set(i64::from(available));
    }

    pub(crate) fn leader(&self, leading: bool) {
        self.leader.set(i64::from(leading));
    }

    /// Tables were measured, and these are too large or not. Those that are gone are shown no longer.
    pub(crate) fn sizes(&self, sizes: impl Iterator<Item = (LdbTable, bool)>) {
        self.warned.clear();
        for (table, warned) in sizes {
            let (family, table) = (table.family().to_string(), table.table().to_string());
            self.warned.get_or_create(&ByTable { family, table }).set(i64::from(warned));
        }
    }

    /// The nodes were counted: those that are ready, those that reported, and where the last of them is.
    pub(crate) fn nodes(&self, ready: usize, placed: usize, least: Option<i64>) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.nodes.ready.set(number(ready));
        self.nodes.placed.set(number(placed));
        self.nodes.least.set(least.unwrap_or(0));
    }

    /// The ledger was pruned; none if it could not be.
    pub(crate) fn pruned(&self, through: Option<Seq>) {
        self.prune_failing.set(i64::from(through.is_none()));
        if let Some(through) = through {
            self.pruned_through.set(through.to_i64());
        }
    }

    pub(crate) fn schema_changed(&self, seq: Seq) {
        self.seq.set(self.seq.get().max(seq.to_i64()));
    }
}

impl From<Kind> for KindLabel {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Family => KindLabel::ctlfamily,
            Kind::Table => KindLabel::ctltable,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_says_what_it_means_and_when_to_wake_somebody() {
        let described = daemon::metrics::describe(&super::example()).unwrap();
        let named =
            |metric: &daemon::metrics::Described| metric.name.starts_with("ctlstore_operator_");
        assert!(described.len() >= 8 && described.iter().all(named), "{described:?}");
    }
}
