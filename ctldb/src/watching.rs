//! What others may see of ctldb at work: how long it waited for the ledger lock, and how its connections stand. It counts
//! nothing itself; who watches does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::CtlDb;

/// Is told of each wait for the ledger lock that ended with it: from asking the database until its answer, tries included.
#[derive(Clone, Default)]
pub struct LockWaits(Option<Arc<dyn Fn(Duration) + Send + Sync>>);

/// How the connections to the database stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open, in use or not.
    pub open: u32,
    /// Open and not in use.
    pub idle: u32,
    /// Calls that wait for one, or for their turn to use one for writing.
    pub waiting: u32,
}

/// How many wait.
#[derive(Default)]
pub(crate) struct Waiting(AtomicU32);

/// One that waits, until it is dropped.
pub(crate) struct Waits<'a>(&'a AtomicU32);

impl LockWaits {
    /// Tells `told`, which must be quick.
    #[must_use]
    pub fn told_to(told: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(crate) fn ended(&self, waited: Duration) {
        if let Self(Some(told)) = self {
            told(waited);
        }
    }
}

impl Waiting {
    pub(crate) fn enter(&self) -> Waits<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waits(&self.0)
    }
}

impl CtlDb {
    /// How the connections stand. Asks nobody.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let (open, idle) = self.backend().connections();
        // The one that is kept for the next writer is out of the pool.
        let idle = idle.saturating_add(u32::from(self.keeps_one_warm())).min(open);
        Connections { open, idle, waiting: self.queues().waiting.0.load(Ordering::Relaxed) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for LockWaits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "LockWaits(told)" } else { "LockWaits" })
    }
}
