//! What dev mode holds: the objects of the folder, with what an API server gives them. Knows no tasks and no locks.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crds::condition::{ConditionType, find};
use crds::{CtlFamily, CtlTable, FINALIZER};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

use crate::feed::{Feed, Touched};
use crate::manifests::folder::{Contents, Object, Place, Problem};
use crate::manifests::{Notice, StatusNotice};
use crate::objects::{Kind, ObjectId};
use crate::report::Status;
use crate::spec::{self, Violation};
use crate::wake::Wakes;

type Key = (Kind, Option<String>, String);

pub(super) struct State {
    pub(super) families: Feed<CtlFamily>,
    pub(super) tables: Feed<CtlTable>,
    pub(super) namespaces: Feed<Namespace>,
    /// From which file an object came: a file with a mistake in it takes nothing away.
    pub(super) origins: HashMap<Key, PathBuf>,
    pub(super) told: BTreeSet<Problem>,
    /// Objects seen so far; a later one is younger.
    pub(super) seen: i64,
    /// An object has gone that the folder may still have.
    pub(super) look_again: bool,
}

/// What changed in the cache, to be told when the lock is released.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) families: Vec<Touched<CtlFamily>>,
    pub(super) tables: Vec<Touched<CtlTable>>,
}

impl Changes {
    pub(super) async fn tell(&self, wakes: &Wakes) {
        for family in &self.families {
            wakes.by_family(family).await;
        }
        for table in &self.tables {
            wakes.by_table(table).await;
        }
    }
}

impl State {
    pub(super) fn take(&mut self, contents: Contents, complete: bool) -> (Changes, Vec<Notice>) {
        let Contents { objects, mut problems } = contents;
        let read = Notice::Read { objects: objects.len() };
        // A file with a mistake keeps what it had; so does everything when the folder could not be read.
        let faulty: HashSet<_> =
            problems.iter().map(|problem| problem.place.file.clone()).collect();
        let (mut families, mut tables) = (Vec::new(), Vec::new());
        for (place, object) in objects {
            self.origins.insert(object.key(), place.file.clone());
            match object {
                Object::Family(new) => families.extend(self.admitted(
                    (place, new),
                    |state| &state.families,
                    |old, new| (spec::family_update(&old.spec, &new.spec), old.spec == new.spec),
                    &mut problems,
                )),
                Object::Table(new) => tables.extend(self.admitted(
                    (place, new),
                    |state| &state.tables,
                    |old, new| (spec::table_update(&old.spec, &new.spec), old.spec == new.spec),
                    &mut problems,
                )),
            }
        }
        let kept = |origin: Option<&PathBuf>| {
            !complete || origin.is_some_and(|file| faulty.contains(file))
        };
        keep(&mut families, &self.families.store(), |family| {
            kept(self.origins.get(&(Kind::Family, None, family.name_any())))
        });
        keep(&mut tables, &self.tables.store(), |table| {
            kept(self.origins.get(&(Kind::Table, table.namespace(), table.name_any())))
        });
        let problems: BTreeSet<_> = problems.into_iter().collect();
        let fresh = problems.difference(&self.told).cloned().map(Notice::Problem);
        // Who waits for what was read knows by then whether all is well.
        let mut notices: Vec<_> = fresh.chain([read]).collect();
        self.told = problems;
        let changes = Changes {
            families: relist(&mut self.families, families),
            tables: relist(&mut self.tables, tables),
        };
        notices.extend(gone(Kind::Family, &changes.families, &self.families.store()));
        notices.extend(gone(Kind::Table, &changes.tables, &self.tables.store()));
        (changes, notices)
    }

    /// The object as it shall be kept, given what was kept of it before: the old one when the change is one that the API
    /// server refuses, or while the old one is on its way out.
    fn admitted<K: Resource<DynamicType = ()> + Clone + 'static>(
        &mut self,
        (place, mut new): (Place, K),
        feed: impl Fn(&Self) -> &Feed<K>,
        compare: impl Fn(&K, &K) -> (Vec<Violation>, bool),
        problems: &mut Vec<Problem>,
    ) -> Option<K> {
        let Some(old) = feed(self).store().get(&ObjectRef::from(&new)) else {
            self.seen += 1;
            born(new.meta_mut(), self.seen);
            return Some(new);
        };
        if old.meta().deletion_timestamp.is_some() {
            return None;
        }
        let (broken, same) = compare(&old, &new);
        if !broken.is_empty() {
            problems.extend(broken.iter().map(|violation| Problem {
                place: place.clone(),
                message: format!("{violation}; the change is not taken"),
            }));
            return Some((*old).clone());
        }
        let (labels, annotations) = (new.meta().labels.clone(), new.meta().annotations.clone());
        *new.meta_mut() = ObjectMeta { labels, annotations, ..old.meta().clone() };
        if !same {
            let generation = old.meta().generation.unwrap_or_default();
            new.meta_mut().generation = Some(generation + 1);
        }
        Some(new)
    }
}

/// Adds to the new list what stays of the old one: what `kept` says, and what leaves but is protected.
fn keep<K: Resource<DynamicType = ()> + Clone + 'static>(
    list: &mut Vec<K>,
    store: &Store<K>,
    kept: impl Fn(&K) -> bool,
) {
    let listed: HashSet<_> = list.iter().map(ObjectRef::from).collect();
    for old in store.state_filter(|old| !listed.contains(&ObjectRef::from(old))) {
        let leaving = old.meta().deletion_timestamp.is_some();
        if leaving || kept(&old) {
            list.push((*old).clone());
        } else if !old.finalizers().is_empty() {
            let mut old = (*old).clone();
            let meta = old.meta_mut();
            meta.deletion_timestamp = Some(Time(jiff::Timestamp::now()));
            meta.generation = meta.generation.map(|generation| generation + 1);
            list.push(old);
        }
    }
}

fn relist<K: Resource<DynamicType = ()> + Clone + 'static>(
    feed: &mut Feed<K>,
    mut list: Vec<K>,
) -> Vec<Touched<K>> {
    // Statuses came meanwhile, and with them nothing that a file could know.
    list.sort_by_key(|object| object.meta().creation_timestamp.as_ref().map(|time| time.0));
    feed.take(&Event::Init);
    for object in list {
        feed.take(&Event::InitApply(object));
    }
    feed.take(&Event::InitDone)
}

fn gone<K: Resource<DynamicType = ()> + Clone + 'static>(
    kind: Kind,
    touched: &[Touched<K>],
    store: &Store<K>,
) -> Vec<Notice> {
    let gone =
        touched.iter().filter(|touched| store.get(&ObjectRef::from(&*touched.object)).is_none());
    gone.map(|touched| farewell(kind, touched.object.meta())).collect()
}

fn farewell(kind: Kind, meta: &ObjectMeta) -> Notice {
    Notice::Gone { kind, object: ObjectId::of(kind, meta).full_name() }
}

/// What an API server gives to a new object.
fn born(meta: &mut ObjectMeta, number: i64) {
    meta.uid = Some(format!("dev-{number}"));
    meta.generation = Some(1);
    // Only their order matters; the number keeps it where the clock is too coarse or goes back.
    meta.creation_timestamp = jiff::Timestamp::from_second(number).ok().map(Time);
}

/// The condition `Ready`, if it says something else than before.
pub(super) fn status_notice<S: Status>(
    object: &ObjectId,
    before: Option<&S>,
    after: &S,
) -> Option<Notice> {
    let ready = |status: &S| {
        let ready = find(status.conditions(), ConditionType::Ready)?;
        Some(StatusNotice {
            kind: object.kind,
            object: object.full_name(),
            ready: ready.status.clone(),
            reason: ready.reason.clone(),
            message: ready.message.clone(),
        })
    };
    let now = ready(after)?;
    (before.and_then(ready).as_ref() != Some(&now)).then_some(Notice::Status(now))
}

/// The object of this name, unless it is another one by now.
pub(super) fn held<K>(feed: &Feed<K>, object: &ObjectId) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let name = ObjectRef::new(&object.name);
    let name = match &object.namespace {
        Some(namespace) => name.within(namespace),
        None => name,
    };
    feed.store().get(&name).filter(|found| found.uid().as_deref() == Some(&object.uid))
}

/// Stores a changed object, or lets it go when nothing holds it any more.
pub(super) fn store<K>(feed: &mut Feed<K>, kind: Kind, changed: K) -> (Vec<Touched<K>>, Vec<Notice>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    if changed.meta().deletion_timestamp.is_some() && changed.finalizers().is_empty() {
        let notice = farewell(kind, changed.meta());
        return (feed.take(&Event::Delete(changed)), vec![notice]);
    }
    (feed.take(&Event::Apply(changed)), Vec::new())
}

pub(super) fn protect<K: Resource>(object: &mut K, protected: bool) {
    let finalizers = object.finalizers_mut();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if protected {
        finalizers.push(FINALIZER.to_owned());
    }
}
