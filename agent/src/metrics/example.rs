//! All metrics of an agent for which everything is known, for those who describe them.

use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use ledger::{Chain, Digest, History, LeaderTs, Position, Seq};
use prometheus_client::registry::Registry;

use crate::args::ChangesArgs;
use crate::bootstrap::told::Told;
use crate::changes::Changes;
use crate::metrics::Metrics;
use crate::read_api::ReadMetrics;
use crate::replay::CatchUp;
use crate::source::Kind;
use crate::status::{Report, Seen, Status};
use crate::supervisor;

/// A registry in which each metric has a series: what a process registers, of a node for which everything is known.
#[must_use]
pub fn example() -> Registry {
    let (metrics, status, mut registry) = (Metrics::default(), Status::new(), Registry::default());
    metrics.fetch_error(Kind::Away);
    // It makes a report of its own, which is then overwritten.
    let uploads = supervisor::Told::new(status.clone());
    let log = ChangesArgs { changelog_path: Some("/nonexistent".into()), ..ChangesArgs::default() };
    Changes::new(&log, &status).register(&mut registry);
    status.update(known);
    metrics.register(&mut registry, status);
    uploads.metrics.register(&mut registry);
    let reads = ReadMetrics::default();
    reads.answered("/ping".into(), StatusCode::OK);
    reads.register(&mut registry);
    registry
}

fn known(report: &mut Report) {
    let (history, seq) = (History::Legacy, Seq::ZERO);
    let (at, asked) = (SystemTime::now(), Instant::now());
    let digest = Digest::from_bytes([0; 32]);
    let position = Position { history, seq, digest, chain: Chain::GENESIS };
    report.position = Some(position);
    report.last_update = Some(LeaderTs::from_micros(0));
    report.nothing_new = Some(asked);
    let left = Some(Duration::ZERO);
    report.catch_up = Some(CatchUp { missing: 0, per_second: 0.0, left });
    report.ledger = Some(Seen { history, head: seq, low_water: seq, tip: None, at, asked });
    report.bootstrap = Some(Told::begun());
    if let Some(uploaded) = &mut report.snapshot {
        (uploaded.position, uploaded.at) = (Some(position), Some(at));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_says_what_it_means_and_when_to_wake_somebody() {
        let described = daemon::metrics::describe(&super::example()).unwrap();
        assert!(described.iter().all(|metric| metric.name.starts_with("ctlstore_agent_")));
        let names: Vec<_> = described.iter().map(|metric| metric.name.as_str()).collect();
        for name in [
            "lag_seconds",
            "nothing_new_seconds",
            "clock_behind_seconds",
            "catch_up_left_seconds",
            "snapshot_age_seconds",
            "bootstrap_phase",
            "changelog_seq",
            "read_answers_total",
        ] {
            assert!(
                names.contains(&format!("ctlstore_agent_{name}").as_str()),
                "{name}: {names:?}"
            );
        }
    }
}
