//! How the change log's file is, for status and metrics.

use ledger::Seq;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Serialize;

use crate::status::Status;

/// How the file is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct LogReport {
    /// Up to here everything is in it, or it says that it is not.
    pub(crate) seq: Seq,
    /// Failed writes since the start.
    pub(crate) errors: u64,
    /// Why it cannot be written just now. When it can be again, it says that changes are missing.
    pub(crate) trouble: Option<String>,
}

/// Tells it in the status, whose clones share it.
#[derive(Debug, Clone)]
pub(super) struct Told(Status);

impl Told {
    pub(super) fn new(status: Status, has_log: bool) -> Self {
        status.update(|report| report.changelog = has_log.then(LogReport::default));
        Self(status)
    }

    pub(super) fn wrote(&self, seq: Seq) {
        self.update(|report| (report.seq, report.trouble) = (seq, None));
    }

    pub(super) fn failed(&self, why: String) {
        self.update(|report| (report.errors, report.trouble) = (report.errors + 1, Some(why)));
    }

    fn update(&self, change: impl FnOnce(&mut LogReport)) {
        self.0.update(|report| {
            if let Some(report) = &mut report.changelog {
                change(report);
            }
        });
    }
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(LogReport { seq, errors, trouble }) = self.0.report().changelog else {
            return Ok(());
        };
        let mut gauge = |name: &str, help: &str, value: u64| {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        let help = "Last ledger sequence that the change log's file tells of. Alert: none";
        gauge("ctlstore_agent_changelog_seq", help, seq.get())?;
        let help = "1 while the change log's file cannot be written, else 0. Alert: 1 for 5 min";
        gauge("ctlstore_agent_changelog_broken", help, u64::from(trouble.is_some()))?;
        let (name, help) =
            ("ctlstore_agent_changelog_errors", "Failed writes of the change log. Alert: none");
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(errors).encode(metric)
    }
}
