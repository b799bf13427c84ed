//! Puts what a watch delivers into the cache, and says which objects have really changed.
//!
//! A change of status alone is none: the operator writes statuses itself and would wake itself up for ever.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

/// An object that changed in a way that matters.
#[derive(Debug, Clone)]
pub(crate) struct Touched<K> {
    /// The object, as it is or last was.
    pub(crate) object: Arc<K>,
    /// It is new, or gone: others may be concerned.
    pub(crate) came_or_went: bool,
}

/// The writing end of one kind's cache.
#[derive(Debug)]
pub(crate) struct Feed<K: Lookup<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    /// What of an object matters, as a hash of it.
    fingerprint: fn(&K) -> u64,
    known: HashMap<ObjectRef<K>, u64>,
    /// Objects named by the list that is under way.
    listed: HashSet<ObjectRef<K>>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Feed<K> {
    /// An empty cache.
    pub(crate) fn new(fingerprint: fn(&K) -> u64) -> Self {
        Self {
            writer: Writer::default(),
            fingerprint,
            known: HashMap::new(),
            listed: HashSet::new(),
        }
    }

    /// The reading end.
    pub(crate) fn store(&self) -> Store<K> {
        self.writer.as_reader()
    }

    /// Takes an event; returns the objects to look at.
    pub(crate) fn take(&mut self, event: &Event<K>) -> Vec<Touched<K>> {
        let before = match event {
            Event::InitDone => self.unlisted(),
            Event::Apply(_) | Event::Delete(_) | Event::Init | Event::InitApply(_) => Vec::new(),
        };
        self.writer.apply_watcher_event(event);
        match event {
            Event::Apply(object) => self.changed(object).into_iter().collect(),
            Event::Delete(object) => {
                self.known.remove(&ObjectRef::from(object));
                vec![Touched { object: Arc::new(object.clone()), came_or_went: true }]
            }
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.listed.insert(ObjectRef::from(object));
                Vec::new()
            }
            Event::InitDone => self.relisted(before),
        }
    }

    /// What is in the cache and not in the list that just ended.
    fn unlisted(&self) -> Vec<Arc<K>> {
        let listed = |object: &K| self.listed.contains(&ObjectRef::from(object));
        self.writer.as_reader().state_filter(|object| !listed(object))
    }

    fn relisted(&mut self, gone: Vec<Arc<K>>) -> Vec<Touched<K>> {
        self.listed = HashSet::new();
        let gone = gone.into_iter().map(|object| {
            self.known.remove(&ObjectRef::from(&*object));
            Touched { object, came_or_went: true }
        });
        let mut touched: Vec<_> = gone.collect();
        for object in self.writer.as_reader().state() {
            touched.extend(self.changed(&object));
        }
        touched
    }

    fn changed(&mut self, object: &K) -> Option<Touched<K>> {
        let fingerprint = (self.fingerprint)(object);
        let before = self.known.insert(ObjectRef::from(object), fingerprint);
        let touched = Touched { object: Arc::new(object.clone()), came_or_went: before.is_none() };
        (before != Some(fingerprint)).then_some(touched)
    }
}

/// What matters of an object of ours: its spec, what was asked by annotation, and its end.
pub(crate) fn of_spec<K: Resource>(object: &K) -> u64 {
    let ObjectMeta { uid, generation, annotations, finalizers, deletion_timestamp, .. } =
        object.meta();
    let deleted = deletion_timestamp.is_some();
    hash(&(uid, generation, annotations, finalizers, deleted))
}

/// What matters of a namespace.
pub(crate) fn of_labels<K: ResourceExt>(object: &K) -> u64 {
    hash(object.labels())
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use crds::{CtlFamily, CtlFamilySpec, CtlFamilyStatus};

    use super::*;

    fn family(name: &str, generation: i64, tables: i64) -> CtlFamily {
        let mut family = CtlFamily::new(name, CtlFamilySpec::default());
        family.metadata.generation = Some(generation);
        let table_count = Some(tables);
        family.status = Some(CtlFamilyStatus { table_count, ..CtlFamilyStatus::default() });
        family
    }

    fn names(touched: &[Touched<CtlFamily>]) -> Vec<String> {
        let mark = |came_or_went| if came_or_went { "!" } else { "" };
        touched.iter().map(|t| format!("{}{}", t.object.name_any(), mark(t.came_or_went))).collect()
    }

    #[test]
    fn only_what_matters_wakes_the_operator() {
        let mut feed = Feed::new(of_spec::<CtlFamily>);
        assert_eq!(names(&feed.take(&Event::Apply(family("one", 1, 0)))), ["one!"]);
        assert_eq!(names(&feed.take(&Event::Apply(family("one", 1, 7)))), [""; 0], "status alone");
        assert_eq!(feed.store().state()[0].status.as_ref().unwrap().table_count, Some(7));
        assert_eq!(names(&feed.take(&Event::Apply(family("one", 2, 7)))), ["one"]);
        assert_eq!(names(&feed.take(&Event::Delete(family("one", 2, 7)))), ["one!"]);
        assert_eq!(names(&feed.take(&Event::Apply(family("one", 2, 7)))), ["one!"], "it came back");
    }

    #[test]
    fn a_new_list_tells_what_changed_and_what_went_meanwhile() {
        let mut feed = Feed::new(of_spec::<CtlFamily>);
        let mut list = |families: &[CtlFamily]| {
            let mut touched = feed.take(&Event::Init);
            for family in families {
                touched.extend(feed.take(&Event::InitApply(family.clone())));
            }
            assert_eq!(names(&touched), [""; 0]);
            let mut names = names(&feed.take(&Event::InitDone));
            names.sort();
            names
        };
        assert_eq!(list(&[family("one", 1, 0), family("two", 1, 0)]), ["one!", "two!"]);
        assert_eq!(list(&[family("one", 1, 0), family("two", 1, 9)]), [""; 0]);
        assert_eq!(list(&[family("two", 2, 9), family("three", 1, 0)]), ["one!", "three!", "two"]);
    }
}
