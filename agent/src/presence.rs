//! What the agent has to do with Kubernetes: it tells how far its node is, and asks whether it may build its file anew.
//!
//! Nothing else of the agent waits for this. An API server that is away, slow or forbids is logged and tried again later,
//! and replay, bootstrap and reads do not notice. One renewal is one request, and failures make them fewer.

mod claims;
mod cluster;
mod own;
mod share;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crds::presence::NodeReport;
use daemon::backoff::Backoff;
use daemon::log::Chain;
use rand::RngExt;
use tokio_util::sync::CancellationToken;

pub use cluster::Cluster;
pub use share::FleetShare;

use crate::bootstrap::share::Share;
use crate::ldb;
use crate::presence::own::Own;
use crate::source::KNOWN_VERSION;
use crate::status::{Report, State, Status};

/// A pause is longer than the interval by up to this part of it, so that nodes that start together do not stay together.
const JITTER: f64 = 0.2;

/// After failures, pauses grow to so many intervals.
const LONGEST: u32 = 10;

/// The presence of one node. Clones share its Lease.
#[derive(Debug, Clone)]
pub struct Presence {
    own: Arc<Own>,
    interval: Duration,
}

impl Presence {
    /// The node whose agent says `report` of itself.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        interval: Duration,
        report: impl Fn() -> NodeReport + Send + Sync + 'static,
    ) -> Self {
        let own = Own::new(cluster, interval, Box::new(report));
        Self { own: Arc::new(own), interval }
    }

    /// The node of this process.
    pub(crate) fn of(
        cluster: Cluster,
        interval: Duration,
        (status, ldb_dir): (Status, PathBuf),
    ) -> Self {
        let report = move || node_report(&status.report(), ldb::free(&ldb_dir));
        Self::new(cluster, interval, report)
    }

    /// Says whether this node may build its file anew, so that at most `percent` of all nodes do, and always one may.
    /// `alone` decides while the API server cannot be asked.
    pub(crate) fn share(&self, percent: u8, alone: impl Share + 'static) -> FleetShare {
        FleetShare::new(Arc::clone(&self.own), percent, Box::new(alone))
    }

    /// Renews the Lease until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let interval = self.interval;
        let mut pauses = Backoff::new(interval, interval * LONGEST);
        let mut failing = false;
        // All nodes of a cluster may start at once.
        let mut pause = interval.mul_f64(rand::rng().random_range(0.0..1.0));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            let renewed = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                renewed = self.own.renew() => renewed,
            };
            pause = interval.mul_f64(1.0 + rand::rng().random_range(0.0..JITTER));
            match renewed {
                Ok(()) if failing => {
                    tracing::info!(lease = self.own.lease(), "the node's Lease is renewed again");
                    failing = false;
                    pauses.reset();
                }
                Ok(()) => {}
                Err(error) => {
                    // The first of a row is news; nothing here depends on it.
                    if !failing {
                        tracing::warn!(error = %Chain(&error), "the operator does not hear of this node, it is tried again");
                    }
                    failing = true;
                    pause = (pause + pauses.next()).max(error.retry_after());
                }
            }
        }
    }
}

/// What is said of the node.
fn node_report(report: &Report, free_bytes: Option<u64>) -> NodeReport {
    let position = report.position;
    let bootstrapped = position.is_some() || report.state == State::Following;
    NodeReport {
        position: position.map(|position| position.mark().to_string()),
        // A ledger without entries has been followed to its end.
        seq: position.map(|position| position.seq.to_i64()).or(bootstrapped.then_some(0)),
        generation: Some(report.ldb.generation),
        lag_seconds: report.lag().map(|lag| lag.as_secs()),
        free_bytes,
        protocol: Some(KNOWN_VERSION),
        state: Some(report.state.as_str().to_owned()),
        bootstrapped,
        claim: None,
    }
}

#[cfg(test)]
mod tests;
