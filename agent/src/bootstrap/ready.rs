//! Whether this node serves: an LDB that it had, a snapshot, or a ledger that was replayed as far as it goes. Once it does, it
//! always does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use daemon::ready::{Gate, Readiness};

/// Opens the gate of `/readyz` when the node serves. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Serving(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    gate: Gate,
    yes: AtomicBool,
}

impl Serving {
    /// Does it have something from the start?
    pub(crate) fn new(readiness: &Readiness, from_start: bool) -> Self {
        let gate = readiness.gate("ldb");
        let serving = Self(Arc::new(Shared { gate, yes: AtomicBool::new(false) }));
        if from_start {
            serving.begin();
        } else {
            serving.not_yet("this node has no LDB yet");
        }
        serving
    }

    pub(crate) fn begin(&self) {
        if !self.0.yes.swap(true, Ordering::Relaxed) {
            self.0.gate.set(true, "");
        }
    }

    pub(crate) fn is_it(&self) -> bool {
        self.0.yes.load(Ordering::Relaxed)
    }

    /// Says why not, while it does not.
    pub(crate) fn not_yet(&self, why: &str) {
        if !self.is_it() {
            self.0.gate.set(false, why);
        }
    }
}
