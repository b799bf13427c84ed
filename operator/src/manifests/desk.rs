//! Keeps the objects of dev mode: gives them what an API server gives (uid, generation, times), takes statuses and
//! finalizers, and lets objects go when their finalizer does.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use crds::condition::{ConditionType, find};
use crds::{CtlFamily, CtlTable, FINALIZER};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use crate::cache::Cache;
use crate::feed::{Feed, Touched, of_labels, of_spec};
use crate::manifests::folder::{Contents, Object, Place, Problem};
use crate::manifests::{Notice, Notices, StatusNotice};
use crate::objects::{Kind, News, ObjectId, Objects, ObjectsError};
use crate::report::Status;
use crate::spec::{self, Violation};
use crate::wake::Wakes;

type Key = (Kind, Option<String>, String);

/// The objects of dev mode.
pub(crate) struct Desk {
    state: Mutex<State>,
    wakes: Mutex<Option<Wakes>>,
    notices: Notices,
}

struct State {
    families: Feed<CtlFamily>,
    tables: Feed<CtlTable>,
    namespaces: Feed<Namespace>,
    /// From which file an object came: a file with a mistake in it takes nothing away.
    origins: HashMap<Key, PathBuf>,
    told: BTreeSet<Problem>,
    /// Objects seen so far; a later one is younger.
    seen: i64,
    /// An object has gone that the folder may still have.
    look_again: bool,
}

/// What changed in the cache, to be told when the lock is released.
#[derive(Default)]
struct Changes {
    families: Vec<Touched<CtlFamily>>,
    tables: Vec<Touched<CtlTable>>,
}

impl Desk {
    pub(crate) fn new(notices: Notices) -> Self {
        let mut namespaces = Feed::new(of_labels::<Namespace>);
        // There are none; each is taken to be there, with the label that all have.
        namespaces.take(&Event::Init);
        namespaces.take(&Event::InitDone);
        let state = State {
            families: Feed::new(of_spec),
            tables: Feed::new(of_spec),
            namespaces,
            origins: HashMap::new(),
            told: BTreeSet::new(),
            seen: 0,
            look_again: false,
        };
        Self { state: Mutex::new(state), wakes: Mutex::new(None), notices }
    }

    /// The reading ends.
    pub(crate) fn cache(&self) -> Cache {
        let State { families, tables, namespaces, .. } = &*self.lock();
        Cache::new(families.store(), tables.store(), namespaces.store())
    }

    /// An object went that the folder may still have.
    pub(crate) fn wants_another_look(&self) -> bool {
        std::mem::take(&mut self.lock().look_again)
    }

    /// Makes the objects those of the folder. `complete`: what it does not have is to go.
    pub(crate) async fn take(&self, contents: Contents, complete: bool, wakes: &Wakes) {
        *self.wakes.lock().unwrap_or_else(PoisonError::into_inner) = Some(wakes.clone());
        let (changes, notices) = self.lock().take(contents, complete);
        notices.into_iter().for_each(|notice| (self.notices)(notice));
        changes.tell(wakes).await;
    }

    async fn change(&self, change: impl FnOnce(&mut State) -> (Changes, Vec<Notice>) + Send) {
        let (changes, notices) = change(&mut self.lock());
        notices.into_iter().for_each(|notice| (self.notices)(notice));
        let wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(wakes) = wakes {
            changes.tell(&wakes).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    async fn tell(&self, wakes: &Wakes) {
        for family in &self.families {
            wakes.by_family(family).await;
        }
        for table in &self.tables {
            wakes.by_table(table).await;
        }
    }
}

impl State {
    fn take(&mut self, contents: Contents, complete: bool) -> (Changes, Vec<Notice>) {
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
fn status_notice<S: Status>(object: &ObjectId, before: Option<&S>, after: &S) -> Option<Notice> {
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
fn held<K>(feed: &Feed<K>, object: &ObjectId) -> Option<Arc<K>>
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
fn store<K>(feed: &mut Feed<K>, kind: Kind, changed: K) -> (Vec<Touched<K>>, Vec<Notice>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    if changed.meta().deletion_timestamp.is_some() && changed.finalizers().is_empty() {
        let notice = farewell(kind, changed.meta());
        return (feed.take(&Event::Delete(changed)), vec![notice]);
    }
    (feed.take(&Event::Apply(changed)), Vec::new())
}

fn protect<K: Resource>(object: &mut K, protected: bool) {
    let finalizers = object.finalizers_mut();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if protected {
        finalizers.push(FINALIZER.to_owned());
    }
}

#[async_trait]
impl Objects for Desk {
    async fn status(&self, object: &ObjectId) -> Result<Option<Value>, ObjectsError> {
        let state = self.lock();
        let value =
            |status: serde_json::Result<Value>| status.expect("BUG: a status is plain data");
        Ok(match object.kind {
            Kind::Family => held(&state.families, object)
                .map(|family| value(serde_json::to_value(&family.status))),
            Kind::Table => {
                held(&state.tables, object).map(|table| value(serde_json::to_value(&table.status)))
            }
        })
    }

    async fn set_status(&self, object: &ObjectId, status: &Value) -> Result<(), ObjectsError> {
        self.change(|state| {
            let notice = match object.kind {
                Kind::Family => held(&state.families, object).and_then(|family| {
                    let mut changed = (*family).clone();
                    changed.status = serde_json::from_value(status.clone()).ok();
                    let notice =
                        status_notice(object, family.status.as_ref(), changed.status.as_ref()?);
                    state.families.take(&Event::Apply(changed));
                    notice
                }),
                Kind::Table => held(&state.tables, object).and_then(|table| {
                    let mut changed = (*table).clone();
                    changed.status = serde_json::from_value(status.clone()).ok();
                    let notice =
                        status_notice(object, table.status.as_ref(), changed.status.as_ref()?);
                    state.tables.take(&Event::Apply(changed));
                    notice
                }),
            };
            (Changes::default(), notice.into_iter().collect())
        })
        .await;
        Ok(())
    }

    async fn set_protected(&self, object: &ObjectId, protected: bool) -> Result<(), ObjectsError> {
        self.change(|state| {
            let mut changes = Changes::default();
            let mut notices = Vec::new();
            match object.kind {
                Kind::Family => {
                    if let Some(family) = held(&state.families, object) {
                        let mut changed = (*family).clone();
                        protect(&mut changed, protected);
                        (changes.families, notices) =
                            store(&mut state.families, object.kind, changed);
                    }
                }
                Kind::Table => {
                    if let Some(table) = held(&state.tables, object) {
                        let mut changed = (*table).clone();
                        protect(&mut changed, protected);
                        (changes.tables, notices) = store(&mut state.tables, object.kind, changed);
                    }
                }
            }
            state.look_again |= !notices.is_empty();
            (changes, notices)
        })
        .await;
        Ok(())
    }

    async fn table_exists(&self, namespace: &str, name: &str) -> Result<bool, ObjectsError> {
        let name = ObjectRef::new(name).within(namespace);
        Ok(self.lock().tables.store().get(&name).is_some())
    }

    /// Statuses are told as they change; an event would say the same once more.
    async fn tell(&self, object: &ObjectId, news: &News) {
        tracing::debug!(
            object = object.full_name(),
            reason = news.reason,
            note = news.note,
            "news"
        );
    }
}
