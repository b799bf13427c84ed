//! Who must be looked at again when an object changes. Wakes carry a name and nothing else.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crds::{CtlFamily, CtlTable};
use futures::Stream;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::cache::Cache;
use crate::feed::Touched;

/// Names that wait to be looked at. The reconcilers take them out at once and keep each name once, so a short queue will do.
const QUEUED: usize = 1024;

/// A thousand tables that come at once change the count of their family a thousand times; it is counted once in this time.
const COUNT_PAUSE: Duration = Duration::from_secs(1);

/// The sending ends of the two queues.
#[derive(Debug, Clone)]
pub(crate) struct Wakes {
    cache: Cache,
    tables: mpsc::Sender<ObjectRef<CtlTable>>,
    families: mpsc::Sender<ObjectRef<CtlFamily>>,
    /// Families whose tables came or went.
    counts: mpsc::Sender<String>,
}

/// A kind that is watched at the API server.
pub(crate) trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Wakes whoever must be looked at because of a change.
    fn wake(wakes: &Wakes, touched: &Touched<Self>) -> impl Future<Output = ()> + Send;
}

impl Watched for CtlFamily {
    fn wake(wakes: &Wakes, touched: &Touched<Self>) -> impl Future<Output = ()> + Send {
        wakes.by_family(touched)
    }
}

impl Watched for CtlTable {
    fn wake(wakes: &Wakes, touched: &Touched<Self>) -> impl Future<Output = ()> + Send {
        wakes.by_table(touched)
    }
}

impl Watched for Namespace {
    fn wake(wakes: &Wakes, touched: &Touched<Self>) -> impl Future<Output = ()> + Send {
        wakes.by_namespace(touched)
    }
}

/// The receiving ends.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) tables: mpsc::Receiver<ObjectRef<CtlTable>>,
    pub(crate) families: mpsc::Receiver<ObjectRef<CtlFamily>>,
    pub(crate) counts: mpsc::Receiver<String>,
}

impl Wakes {
    pub(crate) fn new(cache: Cache) -> (Self, Queues) {
        let (tables, table_queue) = mpsc::channel(QUEUED);
        let (families, family_queue) = mpsc::channel(QUEUED);
        let (counts, count_queue) = mpsc::channel(QUEUED);
        let queues = Queues { tables: table_queue, families: family_queue, counts: count_queue };
        (Self { cache, tables, families, counts }, queues)
    }

    /// A table changed: itself, those that may get or lose its name, and the family that counts it.
    pub(crate) async fn by_table(&self, touched: &Touched<CtlTable>) {
        let Touched { object, came_or_went } = touched;
        self.table(object).await;
        if *came_or_went {
            self.tables(&self.cache.table_rivals(object)).await;
            // Closed only when the process ends.
            let _ = self.counts.send(object.spec.family_ref.name.clone()).await;
        }
    }

    /// A family changed: itself, those that may get or lose its name, and their tables.
    pub(crate) async fn by_family(&self, touched: &Touched<CtlFamily>) {
        let Touched { object, came_or_went: _ } = touched;
        let mut families = self.cache.family_rivals(object);
        families.push(Arc::clone(object));
        for family in families {
            self.family(&family).await;
            self.tables(&self.cache.tables_of(&family.name_any())).await;
        }
    }

    /// A namespace changed its labels: its tables, which may now be let in or kept out.
    pub(crate) async fn by_namespace(&self, touched: &Touched<Namespace>) {
        let name = touched.object.name_any();
        let inside = |table: &CtlTable| table.namespace().as_deref() == Some(name.as_str());
        self.tables(&self.cache.tables.state_filter(inside)).await;
    }

    /// The database is back, or is another one: everything.
    pub(crate) async fn everything(&self) {
        self.families(&self.cache.families.state()).await;
        self.tables(&self.cache.tables.state()).await;
    }

    /// These families.
    pub(crate) async fn families(&self, families: &[Arc<CtlFamily>]) {
        for family in families {
            self.family(family).await;
        }
    }

    /// These tables.
    pub(crate) async fn tables(&self, tables: &[Arc<CtlTable>]) {
        for table in tables {
            self.table(table).await;
        }
    }

    async fn table(&self, table: &CtlTable) {
        // Closed only when the process ends.
        let _ = self.tables.send(ObjectRef::from(table)).await;
    }

    async fn family(&self, family: &CtlFamily) {
        // Closed only when the process ends.
        let _ = self.families.send(ObjectRef::from(family)).await;
    }
}

/// A queue as a stream; it ends when all senders are gone.
pub(crate) fn stream<T: Send>(queue: mpsc::Receiver<T>) -> impl Stream<Item = T> + Send {
    futures::stream::unfold(queue, async |mut queue| {
        let next = queue.recv().await?;
        Some((next, queue))
    })
}

/// Families to count again, each once in [`COUNT_PAUSE`].
pub(crate) async fn count(mut counts: mpsc::Receiver<String>, wakes: Wakes) {
    while let Some(first) = counts.recv().await {
        sleep(COUNT_PAUSE).await;
        let mut families = BTreeSet::from([first]);
        while let Ok(family) = counts.try_recv() {
            families.insert(family);
        }
        for name in families {
            let _ = wakes.families.send(ObjectRef::new(&name)).await;
        }
    }
}
