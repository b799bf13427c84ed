//! Watches one kind of object at the API server and keeps its cache.
//!
//! Each watch is a task of its own with its own pauses: kube's Controller shares one pause among all of its watches, and
//! while one of them waits, none is polled. A watch that fell silent without ending is renewed by the list that is taken
//! every few minutes anyway, and the liveness probe sees to it that these lists happen.

use std::fmt::Debug;
use std::future::Future;
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
use serde::de::DeserializeOwned;
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

/// Takes what a watch delivers.
pub(crate) trait Sink<K>: Send {
    /// Takes an event.
    fn take(&mut self, event: &Event<K>) -> impl Future<Output = ()> + Send;
}

/// Puts it into the cache, and wakes whoever must be looked at.
pub(crate) struct Waking<K: Watched> {
    pub(crate) feed: Feed<K>,
    pub(crate) wakes: Wakes,
}

impl<K: Watched> Sink<K> for Waking<K> {
    async fn take(&mut self, event: &Event<K>) {
        for touched in self.feed.take(event) {
            K::wake(&self.wakes, &touched).await;
        }
    }
}

/// A watch of one kind.
pub(crate) struct Watch<K, S> {
    pub(crate) api: Api<DeserializeGuard<K>>,
    /// Labels that objects must have.
    pub(crate) labels: Option<String>,
    pub(crate) sink: S,
    pub(crate) metrics: Metrics,
}

/// A kind that can be watched.
pub(crate) trait Seen:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
}

impl<K> Seen for K where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
}

impl<K: Seen, S: Sink<K>> Watch<K, S> {
    /// Watches until `stop`. The pulse beats with everything that the watch delivers.
    pub(crate) async fn run(mut self, pulse: Pulse, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.list_and_watch(&pulse) => {}
            }
        }
    }

    /// Lists everything, then watches, until it is time to list again.
    async fn list_and_watch(&mut self, pulse: &Pulse) {
        let relist = Instant::now() + RELIST.mul_f64(rand::rng().random_range(0.8..1.2));
        let mut config = watcher::Config::default().timeout(WATCH_SECONDS);
        config.label_selector.clone_from(&self.labels);
        let mut events = watcher(self.api.clone(), config).boxed();
        let mut pauses = Backoff::new(FIRST, LONGEST);
        loop {
            let event = tokio::select! {
                biased;
                () = sleep_until(relist) => return,
                event = events.next() => event,
            };
            // Also after an error: the loop turns, and the API server's life is not ours.
            pulse.beat();
            match event {
                Some(Ok(event)) => {
                    pauses.reset();
                    let Some(event) = self.decoded(event) else { continue };
                    self.sink.take(&event).await;
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
