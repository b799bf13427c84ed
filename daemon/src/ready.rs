//! Readiness without booleans: the process is ready when every handle was dropped, every gate is
//! open, and nobody has asked it to stop.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What `/readyz` asks. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    waits: BTreeMap<u64, Wait>,
    lag: Option<LagSource>,
}

/// Who knows how old what is served is.
#[derive(Clone)]
struct LagSource(Arc<dyn Fn() -> Lag + Send + Sync>);

/// How old what is served is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// The process serves nothing that ages.
    None,
    /// Nothing was received yet.
    Unknown,
    /// So old.
    Of(Duration),
}

/// One thing that readiness waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The name given to [`Readiness::handle`] or [`Readiness::gate`].
    pub name: &'static str,
    /// Why, in the words of the gate.
    pub reason: String,
}

impl Readiness {
    /// Ready until the first handle or gate is taken; take them all before serving.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something that is done once, such as the first complete list.
    #[must_use = "readiness waits for the handle only while it lives"]
    pub fn handle(&self, name: &'static str) -> Handle {
        Handle { readiness: self.clone(), id: self.wait(name, "starting") }
    }

    /// Something that may open and close again, such as a connection; closed at first.
    #[must_use = "a gate that nobody opens stays closed"]
    pub fn gate(&self, name: &'static str) -> Gate {
        Gate { readiness: self.clone(), id: self.wait(name, "not checked yet"), name }
    }

    /// Not ready any more, whatever the handles and gates say: the process is about to end.
    pub fn stop(&self) {
        self.wait("stopping", "the process was asked to stop");
    }

    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lock().waits.is_empty()
    }

    /// The names of what is waited for, oldest first.
    #[must_use]
    pub fn pending(&self) -> Vec<&'static str> {
        self.lock().waits.values().map(|wait| wait.name).collect()
    }

    /// Says who knows the lag, for those who ask `/readyz?max-lag=`. Without such a question it does not count: old data is
    /// better than none.
    pub fn set_lag(&self, lag: impl Fn() -> Lag + Send + Sync + 'static) {
        self.lock().lag = Some(LagSource(Arc::new(lag)));
    }

    /// How old what is served is.
    #[must_use]
    pub fn lag(&self) -> Lag {
        // Asked without the lock, for it may ask for one.
        let source = self.lock().lag.clone();
        source.map_or(Lag::None, |LagSource(lag)| lag())
    }

    /// What is waited for and why, oldest first.
    #[must_use]
    pub fn waits(&self) -> Vec<Wait> {
        self.lock().waits.values().cloned().collect()
    }

    fn wait(&self, name: &'static str, reason: &str) -> u64 {
        let mut state = self.lock();
        state.last += 1;
        let id = state.last;
        state.waits.insert(id, Wait { name, reason: reason.to_owned() });
        id
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LagSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LagSource")
    }
}

/// Readiness waits until it is dropped.
#[derive(Debug)]
pub struct Handle {
    readiness: Readiness,
    id: u64,
}

impl Handle {
    /// Says that what the handle stands for is done; the same as dropping it.
    pub fn done(self) {}
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.readiness.lock().waits.remove(&self.id);
    }
}

/// Readiness waits while it is closed. Dropping it leaves it as it stands.
#[derive(Debug)]
pub struct Gate {
    readiness: Readiness,
    id: u64,
    name: &'static str,
}

impl Gate {
    /// Opens or closes the gate. `/readyz` shows the reason while it is closed, to anyone: it
    /// must hold no secret.
    pub fn set(&self, open: bool, reason: impl Into<String>) {
        let waits = &mut self.readiness.lock().waits;
        if open {
            waits.remove(&self.id);
        } else {
            waits.insert(self.id, Wait { name: self.name, reason: reason.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_handle_is_gone() {
        let ready = Readiness::new();
        let tables = ready.handle("tables");
        let families = ready.handle("families");
        assert_eq!(ready.pending(), ["tables", "families"]);
        tables.done();
        assert_eq!(ready.pending(), ["families"]);
        assert!(!ready.is_ready());
        drop(families);
        assert!(ready.is_ready());
    }

    #[test]
    fn a_gate_flips_both_ways_and_starts_closed() {
        let ready = Readiness::new();
        let gate = ready.gate("database");
        assert_eq!(ready.waits()[0].reason, "not checked yet");
        gate.set(true, "");
        assert!(ready.is_ready());
        gate.set(false, "3 pings in a row failed");
        gate.set(false, "4 pings in a row failed");
        let reason = "4 pings in a row failed".to_owned();
        assert_eq!(ready.waits(), [Wait { name: "database", reason }]);
    }

    #[test]
    fn never_ready_again_after_stop() {
        let ready = Readiness::new();
        let gate = ready.gate("database");
        ready.stop();
        gate.set(true, "");
        assert_eq!(ready.pending(), ["stopping"]);
    }
}
