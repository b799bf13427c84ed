//! What was asked and what was answered, for Prometheus.

use std::sync::Arc;

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadMetrics {
    answers: Family<Answer, Counter>,
    pub(crate) watchers: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    /// A template of the routes.
    route: Arc<str>,
    status: u16,
}

impl ReadMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ctlstore_agent");
        let help = "Answers of the read API, by route and status. Alert: many 503 among them";
        registry.register("read_answers", help, self.answers.clone());
        let help = "Clients that follow /v1/watch. Alert: none";
        registry.register("read_watchers", help, self.watchers.clone());
    }

    pub(crate) fn answered(&self, route: Arc<str>, status: StatusCode) {
        self.answers.get_or_create(&Answer { route, status: status.as_u16() }).inc();
    }
}
