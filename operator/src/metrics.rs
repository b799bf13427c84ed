//! All metrics of the operator.

use std::time::Instant;

use ledger::{LdbTable, Seq};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

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
        };
        let Self { reconciles, durations, undecodable, events_lost, database, leader, seq, warned } =
            &metrics;
        registry.register(
            "ctlstore_reconcile",
            "Reconciles by kind and result",
            reconciles.clone(),
        );
        registry.register(
            "ctlstore_reconcile_duration_seconds",
            "Time of a reconcile",
            durations.clone(),
        );
        registry.register(
            "ctlstore_undecodable_objects",
            "Objects seen that cannot be decoded",
            undecodable.clone(),
        );
        registry.register(
            "ctlstore_events_lost",
            "Events that could not be written",
            events_lost.clone(),
        );
        registry.register(
            "ctlstore_ctldb_available",
            "1 while the database answers",
            database.clone(),
        );
        registry.register("ctlstore_leader", "1 while this process leads", leader.clone());
        registry.register(
            "ctlstore_schema_seq",
            "The last ledger sequence of a schema change made here",
            seq.clone(),
        );
        registry.register(
            "ctlstore_table_size_warning",
            "1 when a table is larger than its warning size, as last measured",
            warned.clone(),
        );
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
