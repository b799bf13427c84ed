//! Whether it is this process that uploads. An election makes two uploaders rare, not impossible: what keeps the store
//! whole is that its pointer only moves on condition.

use std::time::Duration;

use daemon::lease::{Leadership, LeaseError, Timing};
use daemon::log::Chain;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::presence::Cluster;

/// In the namespace of the agents.
const LEASE: &str = "ctlstore-snapshot";

/// Who uploads, as it is now.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// This process, whatever others do.
    Always,
    /// This process while that is true.
    Elected(watch::Receiver<bool>),
}

impl Role {
    pub(crate) fn leads(&self) -> bool {
        match self {
            Role::Always => true,
            Role::Elected(leads) => *leads.borrow(),
        }
    }

    /// Waits until it is another.
    pub(crate) async fn changed(&mut self) {
        let Role::Elected(leads) = self else { return std::future::pending().await };
        if leads.changed().await.is_err() {
            // The election is over, and so is this process, soon.
            std::future::pending().await
        }
    }

    /// Waits until it is not this process any more.
    pub(crate) async fn lost(mut self) {
        while self.leads() {
            self.changed().await;
        }
    }
}

/// Stands for election.
#[derive(Debug)]
pub(crate) struct Election {
    cluster: Cluster,
    timing: Timing,
    leads: watch::Sender<bool>,
}

impl Election {
    /// Whoever leads may be silent for so long.
    pub(crate) fn new(cluster: Cluster, lease: Duration) -> (Self, Role) {
        let (leads, seen) = watch::channel(false);
        (Self { cluster, timing: timing(lease), leads }, Role::Elected(seen))
    }

    /// Runs until `stop`. Who lost the Lease stands again.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), LeaseError> {
        while !stop.is_cancelled() {
            let (candidate, now) = self.cluster.candidate(LEASE, self.timing)?;
            let leads = self.leads.clone();
            // The upload ends by this, before it moves the pointer.
            let candidate = candidate.with_on_lost(move |_| {
                leads.send_replace(false);
            });
            let ended = tokio::select! {
                ended = candidate.run(stop.clone()) => ended,
                () = self.follow(now) => Ok(()),
            };
            self.leads.send_replace(false);
            if let Err(error) = ended {
                tracing::warn!(error = %Chain(&error), "this process uploads no snapshots any more");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(self.timing.retry) => {}
                }
            }
        }
        Ok(())
    }

    /// Hands on what the candidate is.
    async fn follow(&self, mut now: watch::Receiver<Leadership>) {
        loop {
            let leads = *now.borrow_and_update() == Leadership::Leading;
            self.leads.send_if_modified(|known| std::mem::replace(known, leads) != leads);
            if now.changed().await.is_err() {
                // The candidate is about to say why it ended.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn timing(lease: Duration) -> Timing {
    let retry = lease / 5;
    let call_timeout = (retry / 2).min(Duration::from_secs(10));
    Timing { duration: lease, renew_deadline: lease * 2 / 3, retry, call_timeout }
}
