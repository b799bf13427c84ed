//! One circuit breaker for the database, shared by all objects: when it is away, one prober asks for it, and five hundred
//! tables do not.

use std::time::Duration;

use crds::condition::Reason;
use daemon::backoff::Backoff;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::wake::Wakes;

/// The first pause between two probes, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Why the database is not asked at present, in words that may be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Outage {
    /// Away, or of a kind that we must not touch.
    pub(crate) reason: Reason,
    /// What is wrong.
    pub(crate) message: String,
}

/// Whether the database may be asked.
#[derive(Debug)]
pub(crate) struct Breaker {
    outage: watch::Sender<Option<Outage>>,
    /// Something changed that makes a probe worth while now.
    hurry: Notify,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { outage: watch::Sender::new(None), hurry: Notify::new() }
    }

    /// May the database be asked?
    pub(crate) fn check(&self) -> Result<(), Outage> {
        self.outage.borrow().clone().map_or(Ok(()), Err)
    }

    /// The database did not answer, or is not to be touched.
    pub(crate) fn trip(&self, outage: Outage) {
        self.outage.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                tracing::warn!(reason = %outage.reason, message = outage.message, "the database is not asked any more");
            }
            *now = Some(outage);
            first
        });
    }

    /// Probe at once: the URL changed.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    fn close(&self) {
        self.outage.send_replace(None);
    }
}

/// The prober: waits for an outage, asks with growing pauses until the database answers, and wakes everybody.
pub(crate) async fn guard(database: &Database, wakes: &Wakes, stop: &CancellationToken) {
    let breaker = database.breaker();
    let mut outages = breaker.outage.subscribe();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // The sender is the breaker's, which is here.
            _ = outages.wait_for(Option::is_some) => {}
        }
        let mut pauses = Backoff::new(FIRST, LONGEST);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = breaker.hurry.notified() => {}
                () = sleep(pauses.next()) => {}
            }
            if database.probe().await {
                break;
            }
        }
        breaker.close();
        tracing::info!("the database answers again");
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = wakes.everything() => {}
        }
    }
}
