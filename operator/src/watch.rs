//! Watches one kind of object at the API server and keeps its cache.
//!
//! Each watch is a task of its own with its own pauses: kube's Controller shares one pause among all of its watches, and
//! while one of them waits, none is polled. A watch that fell silent without ending is renewed by the list that is taken
//! every few minutes anyway, and the liveness probe sees to it that these lists happen.

use std::time::Duration;

use daemon::backoff::Backoff;
use daemon::live::Pulse;
use daemon::log::Chain;
use futures::StreamExt;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Resource, ResourceExt};
use rand::RngExt;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::feed::Feed;
use crate::metrics::Metrics;
use crate::wake::{Wakes, Watched};

/// The server ends a watch after this many seconds; load balancers drop silent connections after 240.
const WATCH_SECONDS: u32 = 200;

/// Everything is listed anew about this often.
const RELIST: Duration = Duration::from_secs(300);

/// A watch that has delivered nothing at all for this long is dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(900);

/// The first pause after a failure, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// A watch of one kind.
pub(crate) struct Watch<K: Watched> {
    pub(crate) api: Api<DeserializeGuard<K>>,
    pub(crate) feed: Feed<K>,
    /// Beats with everything that the watch delivers.
    pub(crate) pulse: Pulse,
    pub(crate) metrics: Metrics,
}

impl<K: Watched> Watch<K> {
    /// Watches until `stop`.
    pub(crate) async fn run(mut self, wakes: Wakes, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.list_and_watch(&wakes) => {}
            }
        }
    }

    /// Lists everything, then watches, until it is time to list again.
    async fn list_and_watch(&mut self, wakes: &Wakes) {
        let relist = Instant::now() + RELIST.mul_f64(rand::rng().random_range(0.8..1.2));
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let mut events = watcher(self.api.clone(), config).boxed();
        let mut pauses = Backoff::new(FIRST, LONGEST);
        loop {
            let event = tokio::select! {
                biased;
                () = sleep_until(relist) => return,
                event = events.next() => event,
            };
            // Also after an error: the loop turns, and the API server's life is not ours.
            self.pulse.beat();
            match event {
                Some(Ok(event)) => {
                    pauses.reset();
                    let Some(event) = self.decoded(event) else { continue };
                    for touched in self.feed.take(&event) {
                        K::wake(wakes, &touched).await;
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(kind = %K::kind(&()), error = %Chain(&error), "the watch failed, it is tried again");
                    sleep(pauses.next()).await;
                }
                None => return,
            }
        }
    }

    /// The event without its guard; none for an object that cannot be decoded: one such object must not hide all others.
    fn decoded(&self, event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
        let take = |guard: DeserializeGuard<K>| match guard.0 {
            Ok(mut object) => {
                forget_bulk(&mut object);
                Some(object)
            }
            Err(invalid) => {
                self.metrics.undecodable(&K::kind(&()));
                let name = invalid.metadata.name.unwrap_or_default();
                tracing::error!(kind = %K::kind(&()), name, error = invalid.error, "an object cannot be decoded and is passed over; is the CRD newer than the operator?");
                None
            }
        };
        match event {
            Event::Apply(guard) => take(guard).map(Event::Apply),
            Event::InitApply(guard) => take(guard).map(Event::InitApply),
            Event::Delete(guard) => take(guard).map(Event::Delete),
            Event::Init => Some(Event::Init),
            Event::InitDone => Some(Event::InitDone),
        }
    }
}

/// Drops what nobody reads. Of the managers, their names stay, for the ledger's audit columns.
fn forget_bulk<K: Resource>(object: &mut K) {
    for entry in object.meta_mut().managed_fields.iter_mut().flatten() {
        entry.fields_v1 = None;
    }
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    object.annotations_mut().remove(LAST_APPLIED);
}

/// A queue of names as the reconcilers take it: it ends with `stop`, and then they finish what they have in hand.
pub(crate) fn names<K: Resource<DynamicType = ()> + 'static>(
    queue: tokio::sync::mpsc::Receiver<ObjectRef<K>>,
    stop: CancellationToken,
) -> impl futures::Stream<Item = Result<ObjectRef<K>, std::convert::Infallible>> + Send {
    crate::wake::stream(queue).map(Ok).take_until(stop.cancelled_owned())
}
