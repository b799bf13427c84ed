//! Keeps the objects of dev mode: gives them what an API server gives (uid, generation, times), takes statuses and
//! finalizers, and lets objects go when their finalizer does.

mod state;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use serde_json::Value;

use crate::cache::Cache;
use crate::feed::{Feed, of_labels, of_spec};
use crate::manifests::desk::state::{Changes, State, held, protect, status_notice, store};
use crate::manifests::folder::Contents;
use crate::manifests::{Notice, Notices};
use crate::objects::{Kind, News, ObjectId, Objects, ObjectsError};
use crate::wake::Wakes;

/// The objects of dev mode.
pub(crate) struct Desk {
    state: Mutex<State>,
    wakes: Mutex<Option<Wakes>>,
    notices: Notices,
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

    async fn exists(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<bool, ObjectsError> {
        let state = self.lock();
        Ok(match kind {
            Kind::Family => state.families.store().get(&ObjectRef::new(name)).is_some(),
            Kind::Table => {
                let name = ObjectRef::new(name).within(namespace.unwrap_or_default());
                state.tables.store().get(&name).is_some()
            }
        })
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
