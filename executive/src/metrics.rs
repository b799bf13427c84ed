//! What the executive counts, as `ctlstore_executive_…`. Labels come from route templates and enums, never from what a
//! client sent.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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

type Latency = Family<Route, Histogram, fn() -> Histogram>;

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
    /// Requests being handled.
    pub(crate) in_flight: Gauge,
    /// 1 when admin routes are open to everyone.
    pub(crate) open_admin: Gauge,
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
        let requests = "Requests by route template, method and status";
        all.register("requests", requests, self.requests.clone());
        let latency = "Time from the request's head to the answer's, by route template";
        all.register_with_unit("request_duration", latency, Unit::Seconds, self.latency.clone());
        all.register("rejections", "Refused requests by reason", self.rejections.clone());
        let batches = "Batches of mutations: committed, or recognised as a retry (repeated)";
        all.register("batches", batches, self.batches.clone());
        let mutations = "Rows written (upsert) and deleted (delete) by committed batches";
        all.register("mutations", mutations, self.mutations.clone());
        let values = "Values of the mutations that were received";
        all.register("mutation_values", values, self.values.clone());
        let ignored = "Values passed over because their table has no such column";
        all.register("ignored_values", ignored, self.ignored.clone());
        all.register("in_flight_requests", "Requests being handled", self.in_flight.clone());
        let open = "1 when admin routes are open to everyone (--open-admin)";
        all.register("open_admin", open, self.open_admin.clone());
        all.register("ctldb_up", "1 while ctldb answers", self.ctldb_up.clone());
        all.register("seq", "The highest sequence that this process knows", self.seq.clone());
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

    /// The ledger reaches up to this sequence.
    pub(crate) fn reached(&self, seq: ledger::Seq) {
        self.seq.inner().fetch_max(seq.get(), std::sync::atomic::Ordering::Relaxed);
    }
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
