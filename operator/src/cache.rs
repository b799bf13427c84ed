//! All objects, in memory, as the watches last saw them. Reconciles read here and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{CtlFamily, CtlTable};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::objects::{Kind, ObjectId};

/// The objects that the operator looks at.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    /// All families.
    pub(crate) families: Store<CtlFamily>,
    /// All tables.
    pub(crate) tables: Store<CtlTable>,
    /// All namespaces, for their labels.
    pub(crate) namespaces: Store<Namespace>,
    /// A store wakes only the last of those who wait for it, so one of us waits and wakes the others.
    listed: Arc<OnceCell<()>>,
}

/// A watch ended before its first list was complete.
#[derive(Debug, thiserror::Error)]
#[error("the watch of {0} ended before its first list was complete")]
pub(crate) struct NotListed(&'static str);

impl Cache {
    pub(crate) fn new(
        families: Store<CtlFamily>,
        tables: Store<CtlTable>,
        namespaces: Store<Namespace>,
    ) -> Self {
        Self { families, tables, namespaces, listed: Arc::default() }
    }

    /// Waits until everything was listed once. Before that, absence means nothing. False: `stop` came first.
    pub(crate) async fn ready(&self, stop: &CancellationToken) -> Result<bool, NotListed> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(false),
            listed = self.listed.get_or_try_init(|| self.lists()) => listed.map(|()| true),
        }
    }

    async fn lists(&self) -> Result<(), NotListed> {
        let Self { families, tables, namespaces, listed: _ } = self;
        families.wait_until_ready().await.map_err(|_| NotListed("CtlFamilies"))?;
        tables.wait_until_ready().await.map_err(|_| NotListed("CtlTables"))?;
        namespaces.wait_until_ready().await.map_err(|_| NotListed("Namespaces"))
    }

    pub(crate) fn family(&self, name: &str) -> Option<Arc<CtlFamily>> {
        self.families.get(&ObjectRef::new(name))
    }

    pub(crate) fn table(&self, namespace: &str, name: &str) -> Option<Arc<CtlTable>> {
        self.tables.get(&ObjectRef::new(name).within(namespace))
    }

    /// Is this very object still there?
    pub(crate) fn has(&self, object: &ObjectId) -> bool {
        let found = match object.kind {
            Kind::Family => self.family(&object.name).and_then(|family| family.uid()),
            Kind::Table => {
                let namespace = object.namespace.as_deref().unwrap_or_default();
                self.table(namespace, &object.name).and_then(|table| table.uid())
            }
        };
        found.as_deref() == Some(&object.uid)
    }

    /// Other families of the same name in SQL.
    pub(crate) fn family_rivals(&self, family: &CtlFamily) -> Vec<Arc<CtlFamily>> {
        let (object, name) = (family.name_any(), family.sql_name());
        self.families.state_filter(|other| other.name_any() != object && other.sql_name() == name)
    }

    /// The tables that refer to a family, by the name of its object.
    pub(crate) fn tables_of(&self, family: &str) -> Vec<Arc<CtlTable>> {
        self.tables.state_filter(|table| table.spec.family_ref.name == family)
    }

    /// Other tables of the same family and the same name in SQL.
    pub(crate) fn table_rivals(&self, table: &CtlTable) -> Vec<Arc<CtlTable>> {
        let (me, name) = (ObjectRef::from(table), table.sql_name());
        self.tables.state_filter(|other| {
            other.spec.family_ref == table.spec.family_ref
                && other.sql_name() == name
                && ObjectRef::from(other) != me
        })
    }

    /// The labels of a namespace, with the one that every namespace has.
    pub(crate) fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let found = self.namespaces.get(&ObjectRef::new(namespace));
        let mut labels = found.map(|namespace| namespace.labels().clone()).unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
        labels
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kube::runtime::watcher::Event;
    use tokio::task::JoinSet;

    use super::*;
    use crate::feed::{Feed, of_labels, of_spec};

    fn list<K>(feed: &mut Feed<K>)
    where
        K: kube::Resource<DynamicType = ()> + Clone + 'static,
    {
        feed.take(&Event::Init);
        feed.take(&Event::InitDone);
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_for_the_lists_go_on_and_so_do_those_who_stop() {
        let (mut families, mut tables) = (Feed::new(of_spec), Feed::new(of_spec));
        let mut namespaces = Feed::new(of_labels::<Namespace>);
        let cache = Cache::new(families.store(), tables.store(), namespaces.store());
        let stop = CancellationToken::new();
        let mut waiting = JoinSet::new();
        for _ in 0..4 {
            let (cache, stop) = (cache.clone(), stop.clone());
            waiting.spawn(async move { cache.ready(&stop).await.unwrap() });
        }
        // Each step lets all of them get as far as they can.
        let settle = || tokio::time::sleep(Duration::from_millis(1));
        settle().await;
        list(&mut tables);
        list(&mut namespaces);
        settle().await;
        assert!(waiting.try_join_next().is_none(), "the families were not listed yet");
        list(&mut families);
        let all = tokio::time::timeout(Duration::from_secs(10), waiting.join_all()).await;
        assert_eq!(all.unwrap(), [true; 4]);

        let unlisted = Feed::new(of_spec::<CtlFamily>);
        let cache = Cache::new(unlisted.store(), cache.tables, cache.namespaces);
        stop.cancel();
        assert!(!cache.ready(&stop).await.unwrap());
    }
}
