//! Numbers for Prometheus. Counters are counted where things happen; the rest is asked of the status at each scrape. A help
//! text says what is counted, and after `Alert:` when that should wake somebody: docs/metrics.md is made of it.

mod example;

use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, LabelValueEncoder};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::bootstrap::{self, told::Phase};
use crate::ldb::{Condition, Health};
use crate::source::Kind;
use crate::status::{State, Status};
use crate::supervisor::Uploaded;

pub use example::example;

/// From a commit into memory to a disk that hangs.
const APPLY_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 5.];

/// What is counted.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) entries: Counter,
    pub(crate) skipped: Counter,
    pub(crate) apply: Histogram,
    pub(crate) ldb_errors: Counter,
    fetch_errors: Family<FetchError, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            entries: Counter::default(),
            skipped: Counter::default(),
            apply: Histogram::new(APPLY_SECONDS),
            ldb_errors: Counter::default(),
            fetch_errors: Family::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchError {
    kind: Kind,
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

impl Metrics {
    pub(crate) fn fetch_error(&self, kind: Kind) {
        self.fetch_errors.get_or_create(&FetchError { kind }).inc();
    }

    /// Registers everything.
    pub(crate) fn register(&self, registry: &mut Registry, status: Status) {
        let Self { entries, skipped, apply, ldb_errors, fetch_errors } = self;
        let registry = registry.sub_registry_with_prefix("ctlstore_agent");
        let help = "Ledger entries applied. Alert: none";
        registry.register("entries_applied", help, entries.clone());
        let help = "Ledger entries applied as empty because an administrator said so. Alert: none";
        registry.register("entries_skipped", help, skipped.clone());
        let help = "What the writer took for the entries of one look at the ledger, commits included. Alert: p99 above 1 s for 15 min, the disk is slow";
        registry.register_with_unit("apply", help, Unit::Seconds, apply.clone());
        let help = "Failed writes to the LDB. Alert: increase over 10 min, see ctlstore_agent_ldb_condition";
        registry.register("ldb_errors", help, ldb_errors.clone());
        let help = "Failed looks at the ledger, by kind. Alert: none, see ctlstore_agent_state";
        registry.register("fetch_errors", help, fetch_errors.clone());
        registry.register_collector(Box::new(Gauges(status)));
    }
}

/// Asked at each scrape.
#[derive(Debug)]
struct Gauges(Status);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let report = self.0.report();
        let position = report.position.map_or(0, |position| position.seq.get());
        let help = "Last ledger sequence applied. Alert: none";
        gauge(&mut encoder, "position", help, position)?;
        ldb(&mut encoder, &report.ldb)?;
        if let Some(ledger) = report.ledger {
            let help = "Last sequence of the ledger, as last seen. Alert: none";
            gauge(&mut encoder, "ledger_head", help, ledger.head.get())?;
            let since = SystemTime::now().duration_since(ledger.at).unwrap_or_default();
            let help = "Time since the ledger was last seen. Alert: above 60 s for 5 min, ctldb or the way to it is away";
            seconds(&mut encoder, "contact", help, since.as_secs_f64())?;
        }
        if let Some(lag) = report.lag() {
            let help = "Age of the newest entry applied; it rises while nobody writes, and heartbeats bound it. Alert: above 60 s for 5 min where heartbeats are written";
            seconds(&mut encoder, "lag", help, lag.as_secs_f64())?;
        }
        if let Some(since) = report.since_nothing_new() {
            let help = "Time since the ledger was last asked and had nothing that the LDB has not; what was written before is here. Alert: above 60 s for 5 min, the node falls behind";
            seconds(&mut encoder, "nothing_new", help, since.as_secs_f64())?;
        }
        if let Some(behind) = report.clock_behind() {
            let help = "How far this node's clock is behind at least, by the time of the newest entry; the lag is then told as 0. Alert: above 1 s, mend the clocks";
            seconds(&mut encoder, "clock_behind", help, behind.as_secs_f64())?;
        }
        let catch_up = report.catch_up;
        let help = "Entries applied a second while catching up, else 0. Alert: none";
        let rate = catch_up.map_or(0.0, |catch_up| catch_up.per_second);
        let metric = encoder.encode_descriptor("catch_up_rate", help, None, MetricType::Gauge)?;
        ConstGauge::new(rate).encode(metric)?;
        if let Some(left) = catch_up.and_then(|catch_up| catch_up.left) {
            let help =
                "Time until the LDB has caught up, at the rate of the last seconds. Alert: none";
            seconds(&mut encoder, "catch_up_left", help, left.as_secs_f64())?;
        }
        if let Some(uploaded) = &report.snapshot {
            snapshot(&mut encoder, uploaded)?;
        }
        if let Some(told) = &report.bootstrap {
            bootstrap(&mut encoder, told)?;
        }
        let help = "1 for what replay is doing, 0 for all else. Alert: any but following and starting for 5 min; forked, pruned, hole, poisoned and too_old at once, for they pass only by somebody's hand";
        let mut states = encoder.encode_descriptor("state", help, None, MetricType::Gauge)?;
        for state in State::ALL {
            let value = u64::from(state == report.state);
            let labels = [("state", state.as_str())];
            ConstGauge::new(value).encode(states.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn ldb(encoder: &mut DescriptorEncoder<'_>, health: &Health) -> Result<(), std::fmt::Error> {
    let help = "Number of the LDB file that is served. Alert: none";
    gauge(encoder, "generation", help, health.generation)?;
    let help = "Size of the LDB's WAL. Alert: none, it is bounded by --wal-hard-limit";
    gauge(encoder, "wal_bytes", help, health.wal_bytes)?;
    let help = "What the writer waits for readers when it empties the WAL. Alert: none";
    seconds(encoder, "wal_budget", help, health.wal_budget.as_secs_f64())?;
    let help = "Time since the WAL was empty. Alert: none";
    seconds(encoder, "wal_since_reset", help, health.wal_reset.as_secs_f64())?;
    let help = "Attempts to empty the WAL that readers outlasted. Alert: none, see ctlstore_agent_ldb_switches_total";
    counter(encoder, "wal_failures", help, health.wal_failures)?;
    let help = "Times another file was served. Alert: more than 10 in 1 h, a program keeps read transactions open";
    counter(encoder, "ldb_switches", help, health.switches)?;
    let help = "Other processes that have the served LDB open; those in other containers are seen as one. Alert: none";
    gauge(encoder, "attached", help, health.attached)?;
    let help = "LDB files that were served before and are still there. Alert: above 2 for 2 h";
    gauge(encoder, "retired", help, health.retired)?;
    let help = "Other processes that have a retired LDB file open; those in other containers are seen as one. Alert: above 0 for 1 h, these programs do not follow a new file and must be restarted";
    gauge(encoder, "retired_attached", help, health.retired_attached)?;
    let help = "1 for what the writer of the LDB can do, 0 for all else. Alert: no_space and damaged at once, any but sound for 5 min";
    let mut family = encoder.encode_descriptor("ldb_condition", help, None, MetricType::Gauge)?;
    for condition in Condition::ALL {
        let value = u64::from(condition == health.condition);
        let labels = [("condition", condition.as_str())];
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn snapshot(
    encoder: &mut DescriptorEncoder<'_>,
    uploaded: &Uploaded,
) -> Result<(), std::fmt::Error> {
    if let Some(position) = uploaded.position {
        let help = "Ledger sequence of the newest snapshot in the store. Alert: none";
        gauge(encoder, "snapshot_position", help, position.seq.get())?;
    }
    if let Some(at) = uploaded.at {
        let age = SystemTime::now().duration_since(at).unwrap_or_default();
        let help = "Time since the newest snapshot in the store was taken. Alert: above 2 h on all nodes, nobody uploads: see docs/snapshots.md";
        seconds(encoder, "snapshot_age", help, age.as_secs_f64())?;
    }
    Ok(())
}

fn bootstrap(
    encoder: &mut DescriptorEncoder<'_>,
    told: &bootstrap::told::Told,
) -> Result<(), std::fmt::Error> {
    let help = "Bytes of the snapshot that were got so far. Alert: none";
    gauge(encoder, "bootstrap_got_bytes", help, told.bytes)?;
    let help = "Bytes of the snapshot that the node begins with. Alert: none";
    gauge(encoder, "bootstrap_whole_bytes", help, told.of)?;
    let help = "1 for what bootstrapping is doing, 0 for all else. Alert: failed or waiting for 15 min, the node has no LDB or an old one";
    let mut phases = encoder.encode_descriptor("bootstrap_phase", help, None, MetricType::Gauge)?;
    for phase in Phase::ALL {
        let labels = [("phase", phase.as_str())];
        let metric = phases.encode_family(&labels)?;
        ConstGauge::new(u64::from(phase == told.phase)).encode(metric)?;
    }
    Ok(())
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn seconds(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: f64,
) -> Result<(), std::fmt::Error> {
    let unit = Some(&Unit::Seconds);
    let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}
