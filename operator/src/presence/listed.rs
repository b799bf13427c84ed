//! Keeps what matters of the objects that a watch delivers, by name.

use std::collections::{HashMap, HashSet};

use kube::runtime::watcher::Event;

/// What is kept.
#[derive(Debug)]
pub(super) struct Listed<V> {
    kept: HashMap<String, V>,
    /// Named by the list that is under way.
    listing: HashSet<String>,
    /// One list was complete: before that, absence means nothing.
    complete: bool,
}

impl<V> Default for Listed<V> {
    fn default() -> Self {
        Self { kept: HashMap::new(), listing: HashSet::new(), complete: false }
    }
}

impl<V> Listed<V> {
    /// Takes an event. `keep` makes of an object, and of what was kept of it before, what is kept of it now. Returns the
    /// names of objects that are gone; what is kept of them is the caller's to drop.
    pub(super) fn take<K>(
        &mut self,
        event: &Event<K>,
        name: impl Fn(&K) -> Option<String>,
        keep: impl Fn(&K, Option<V>) -> Option<V>,
    ) -> Vec<String> {
        match event {
            Event::Apply(object) => self.put(object, &name, &keep),
            Event::InitApply(object) => {
                self.listing.extend(name(object));
                self.put(object, &name, &keep);
            }
            Event::Delete(object) => return name(object).into_iter().collect(),
            Event::Init => self.listing.clear(),
            Event::InitDone => {
                self.complete = true;
                let listed = std::mem::take(&mut self.listing);
                return self.kept.keys().filter(|name| !listed.contains(*name)).cloned().collect();
            }
        }
        Vec::new()
    }

    fn put<K>(
        &mut self,
        object: &K,
        name: impl Fn(&K) -> Option<String>,
        keep: impl Fn(&K, Option<V>) -> Option<V>,
    ) {
        let Some(name) = name(object) else { return };
        let before = self.kept.remove(&name);
        if let Some(now) = keep(object, before) {
            self.kept.insert(name, now);
        }
    }

    /// Was one list complete?
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn kept(&self) -> &HashMap<String, V> {
        &self.kept
    }

    pub(super) fn kept_mut(&mut self) -> &mut HashMap<String, V> {
        &mut self.kept
    }
}
