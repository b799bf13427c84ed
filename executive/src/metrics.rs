//! What the executive counts, as `ctlstore_executive_…`. Labels come from route templates and enums, never from what a
//! client sent. A help text says what is counted, and after `Alert:` when that should wake somebody: docs/metrics.md is
//! made of it.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use ctldb::{CtlDb, LockWaits, SizeLimit, TableSize};
use ledger::{CtlDbUrl, LdbTable};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::error::Code;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: &'static str,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Table {
    family: String,
    table: String,
}

const COMMIT_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.5, 10.];

type Latency = Family<Route, Histogram, fn() -> Histogram>;

/// The connections to ctldb, as they are when somebody asks.
#[derive(Debug)]
pub(crate) struct Connections(pub(crate) CtlDb);

/// The executive's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Family<Request, Counter>,
    latency: Latency,
    rejections: Family<Reason, Counter>,
    batches: Family<Kind, Counter>,
    mutations: Family<Kind, Counter>,
    values: Counter,
    ignored: Counter,
    commit: Histogram,
    lock_wait: Histogram,
    sizes: Family<Table, Gauge>,
    warned: Family<Table, Gauge>,
    /// Requests being handled.
    pub(crate) in_flight: Gauge,
    /// 1 when admin routes are open to everyone.
    pub(crate) open_admin: Gauge,
    /// 1 while the fleet is ahead of the ledger and nothing is written.
    pub(crate) behind: Gauge,
    /// 1 while somebody who says where the fleet is cannot be read.
    pub(crate) fleet_unknown: Gauge,
    /// 1 while ctldb answers.
    pub(crate) ctldb_up: Gauge,
    seq: Gauge<u64, AtomicU64>,
}

impl Metrics {
    /// Makes them and the registry that prints them.
    pub(crate) fn new() -> (Self, Registry) {
        let latency: Latency = Family::new_with_constructor(|| {
            Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 10.])
        });
        let metrics = Self {
            requests: Family::default(),
            latency,
            rejections: Family::default(),
            batches: Family::default(),
            mutations: Family::default(),
            values: Counter::default(),
            ignored: Counter::default(),
            commit: Histogram::new(COMMIT_SECONDS),
            lock_wait: Histogram::new(COMMIT_SECONDS),
            sizes: Family::default(),
            warned: Family::default(),
            behind: Gauge::default(),
            fleet_unknown: Gauge::default(),
            in_flight: Gauge::default(),
            open_admin: Gauge::default(),
            ctldb_up: Gauge::default(),
            seq: Gauge::default(),
        };
        let registry = metrics.registry();
        (metrics, registry)
    }

    fn registry(&self) -> Registry {
        let mut all = Registry::with_prefix("ctlstore_executive");
        let requests = "Requests by route template, method and status. Alert: codes from 500 above 1 % of all for 10 min";
        all.register("requests", requests, self.requests.clone());
        let latency = "Time from the request's head to the answer's, by route template. Alert: p99 of mutations above 1 s for 10 min";
        all.register_with_unit("request_duration", latency, Unit::Seconds, self.latency.clone());
        all.register("rejections", "Refused requests by reason. Alert: none, but look at rate limits and sizes when writers complain", self.rejections.clone());
        let batches =
            "Batches of mutations: committed, or recognised as a retry (repeated). Alert: none";
        all.register("batches", batches, self.batches.clone());
        let mutations = "Rows written (upsert) and deleted (delete) by committed batches. Alert: above 100 a second for 1 h, ctlstore is made for fewer";
        all.register("mutations", mutations, self.mutations.clone());
        let values = "Values of the mutations that were received. Alert: none";
        all.register("mutation_values", values, self.values.clone());
        let ignored = "Values passed over because their table has no such column. Alert: increases for 1 h, a writer is newer than its table";
        all.register("ignored_values", ignored, self.ignored.clone());
        let commit = "Time in ctldb for a batch that was committed, the wait for the ledger lock included. Alert: p99 above 1 s for 10 min";
        all.register_with_unit("commit_duration", commit, Unit::Seconds, self.commit.clone());
        let wait = "Time until a transaction had the ledger lock, with what it read at once. Alert: p99 above 1 s for 10 min, somebody holds the lock";
        all.register_with_unit("lock_wait", wait, Unit::Seconds, self.lock_wait.clone());
        let size = "Size of a table when it was last measured, rows and indexes. Alert: none, see the warning";
        all.register_with_unit("table_size", size, Unit::Bytes, self.sizes.clone());
        let warned =
            "1 when a table is larger than its warning size. Alert: 1, for the table's owners";
        all.register("table_size_warning", warned, self.warned.clone());
        let behind = "1 while nodes are ahead of the ledger and nothing is written (HistoryBehindFleet). Alert: 1, ctldb was restored: see docs on new-history";
        all.register("history_behind_fleet", behind, self.behind.clone());
        let unknown =
            "1 while --snapshot-url or --fleet-position-file cannot be read. Alert: 1 for 15 min";
        all.register("fleet_unknown", unknown, self.fleet_unknown.clone());
        all.register(
            "in_flight_requests",
            "Requests being handled. Alert: near --max-in-flight for 5 min",
            self.in_flight.clone(),
        );
        let open =
            "1 when admin routes are open to everyone (--open-admin). Alert: 1 outside of trials";
        all.register("open_admin", open, self.open_admin.clone());
        all.register(
            "ctldb_up",
            "1 while ctldb answers. Alert: 0 for 2 min",
            self.ctldb_up.clone(),
        );
        all.register(
            "seq",
            "The highest sequence that this process knows. Alert: none",
            self.seq.clone(),
        );
        all
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        route: &str,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let (route, method) = (route.to_owned(), method_label(method));
        let labels = Request { route: route.clone(), method, code: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.latency.get_or_create(&Route { route, method }).observe(took.as_secs_f64());
    }

    /// A request was refused.
    pub(crate) fn refused(&self, code: Code) {
        self.rejections.get_or_create(&Reason { reason: code.as_str() }).inc();
    }

    /// A request to mutate came with so many values.
    pub(crate) fn received(&self, values: u64) {
        self.values.inc_by(values);
    }

    /// So many of a committed batch's values have no column.
    pub(crate) fn ignored(&self, values: u64) {
        self.ignored.inc_by(values);
    }

    /// A batch was committed, or recognised as one that was.
    pub(crate) fn committed(&self, upserts: u64, deletes: u64, repeated: bool) {
        let kind = if repeated { "repeated" } else { "committed" };
        self.batches.get_or_create(&Kind { kind }).inc();
        if !repeated {
            self.mutations.get_or_create(&Kind { kind: "upsert" }).inc_by(upserts);
            self.mutations.get_or_create(&Kind { kind: "delete" }).inc_by(deletes);
        }
    }

    /// ctldb took so long to commit a batch.
    pub(crate) fn took(&self, time: Duration) {
        self.commit.observe(time.as_secs_f64());
    }

    /// Who is to be told by ctldb how long the ledger lock was waited for.
    pub(crate) fn lock_waits(&self) -> LockWaits {
        let wait = self.lock_wait.clone();
        LockWaits::told_to(move |waited| wait.observe(waited.as_secs_f64()))
    }

    /// Tables were measured. Those that are gone are shown no longer.
    pub(crate) fn sizes(&self, sizes: &[TableSize], default: SizeLimit) {
        self.sizes.clear();
        self.warned.clear();
        for TableSize { table, bytes, limit, .. } in sizes {
            let family = table.family().to_string();
            let labels = Table { family, table: table.table().to_string() };
            let warned = *bytes > limit.unwrap_or(default).warn_bytes;
            self.warned.get_or_create(&labels).set(warned.into());
            let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
            self.sizes.get_or_create(&labels).set(bytes);
        }
    }

    /// The ledger reaches up to this sequence.
    pub(crate) fn reached(&self, seq: ledger::Seq) {
        self.seq.inner().fetch_max(seq.get(), std::sync::atomic::Ordering::Relaxed);
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let ctldb::Connections { open, idle, waiting } = self.0.connections();
        let waits = "Calls that wait for a connection to ctldb, or for their turn to write. Alert: above 10 for 5 min";
        let gauges = [
            ("ctldb_connections_open", "Connections to ctldb, in use or not. Alert: none", open),
            (
                "ctldb_connections_idle",
                "Connections to ctldb that are not in use. Alert: none",
                idle,
            ),
            ("ctldb_connections_waiting", waits, waiting),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::from(value));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// A registry in which each metric has a series, for those who describe them: what a process registers that has seen one of
/// each.
///
/// # Panics
/// Never: no connection is made, and the names are possible ones.
#[must_use]
pub fn example() -> Registry {
    let (metrics, mut registry) = Metrics::new();
    metrics.answered("/status", &Method::GET, StatusCode::OK, Duration::ZERO);
    metrics.refused(Code::FamilyNotFound);
    metrics.committed(1, 1, false);
    let table = LdbTable::parse("family___table").expect("BUG: it is a name");
    let size = TableSize { table, bytes: 0, age: Duration::ZERO, limit: None };
    metrics.sizes(&[size], SizeLimit::default());
    let nowhere = CtlDbUrl::Sqlite("/nonexistent".into());
    let db = CtlDb::open(nowhere).expect("BUG: it is opened when it is used");
    registry.register_collector(Box::new(Connections(db)));
    registry
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_metric_says_what_it_means_and_when_to_wake_somebody() {
        let described = daemon::metrics::describe(&super::example()).unwrap();
        let named =
            |metric: &daemon::metrics::Described| metric.name.starts_with("ctlstore_executive_");
        assert!(described.len() >= 20 && described.iter().all(named), "{described:?}");
    }
}
