//! When an object is looked at again though nothing woke it: to find drift, and after a failure.
//!
//! The pauses of failures grow by object, so they are kept here; what a reconcile does never depends on them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use daemon::backoff::Backoff;
use rand::RngExt;

use crate::objects::ObjectId;

/// The first pause after a failure, and the longest.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);

/// While somebody holds a lock that a change waits for.
pub(crate) const LOCKED: Duration = Duration::from_secs(5);

/// After somebody else's unfinished change was finished.
pub(crate) const AGAIN: Duration = Duration::from_millis(100);

/// How often every object is looked at.
#[derive(Debug)]
pub(crate) struct Requeue {
    recheck: Duration,
    failing: Mutex<HashMap<ObjectId, Backoff>>,
}

impl Requeue {
    pub(crate) fn new(recheck: Duration) -> Self {
        Self { recheck, failing: Mutex::default() }
    }

    /// All is as it should be, or nothing helps: the next look for drift, spread by a tenth either way, so that a
    /// thousand tables that came at once are not looked at together for ever.
    pub(crate) fn recheck(&self, object: &ObjectId) -> Duration {
        self.lock().remove(object);
        self.recheck.mul_f64(rand::rng().random_range(0.9..1.1))
    }

    /// It failed: a pause that grows with each failure in a row.
    pub(crate) fn failed(&self, object: &ObjectId) -> Duration {
        let mut failing = self.lock();
        let pauses = failing.entry(object.clone());
        pauses.or_insert_with(|| Backoff::new(FIRST, LONGEST.min(self.recheck))).next()
    }

    /// Did the last look at the object fail too?
    pub(crate) fn is_failing(&self, object: &ObjectId) -> bool {
        self.lock().contains_key(object)
    }

    /// Forgets the failures of objects that are gone.
    pub(crate) fn keep(&self, is_there: impl Fn(&ObjectId) -> bool) {
        self.lock().retain(|object, _| is_there(object));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectId, Backoff>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Kind;

    #[test]
    fn looks_for_drift_are_spread_and_failures_begin_anew_after_a_success() {
        let requeue = Requeue::new(Duration::from_secs(600));
        let name = "plans".to_owned();
        let object = ObjectId { kind: Kind::Table, namespace: None, name, uid: String::new() };
        let looks: Vec<_> = (0..100).map(|_| requeue.recheck(&object).as_secs()).collect();
        assert!(looks.iter().all(|look| (540..660).contains(look)), "{looks:?}");
        assert!(looks.iter().max() > looks.iter().min());
        let failed: Vec<_> = (0..40).map(|_| requeue.failed(&object)).collect();
        assert!(failed.iter().all(|pause| *pause <= LONGEST));
        assert!(failed.iter().any(|pause| *pause > FIRST * 8), "{failed:?}");
        assert!(requeue.is_failing(&object));
        requeue.recheck(&object);
        assert!(!requeue.is_failing(&object));
        assert!(requeue.failed(&object) <= FIRST);
        requeue.keep(|_| false);
        assert!(!requeue.is_failing(&object));
    }
}
