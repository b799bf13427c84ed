//! Liveness by heartbeats: a loop that stays silent for too long is named, and the kubelet
//! restarts the process. Never watch something outside the process here (a database that is away
//! is no reason to restart).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What `/livez` asks. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Liveness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    beats: BTreeMap<u64, Beat>,
}

#[derive(Debug)]
struct Beat {
    name: &'static str,
    max_silence: Duration,
    at: Instant,
}

impl Liveness {
    /// Nothing is watched yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches a loop that beats at least every `max_silence`, from now on.
    #[must_use = "the loop is watched only while the pulse lives"]
    pub fn watch(&self, name: &'static str, max_silence: Duration) -> Pulse {
        let mut state = self.lock();
        state.last += 1;
        let id = state.last;
        state.beats.insert(id, Beat { name, max_silence, at: Instant::now() });
        Pulse { liveness: self.clone(), id }
    }

    /// The names of the loops that were silent for too long, and for how long.
    #[must_use]
    pub fn silent(&self) -> Vec<(&'static str, Duration)> {
        let state = self.lock();
        let silent = state.beats.values().filter(|beat| beat.at.elapsed() > beat.max_silence);
        silent.map(|beat| (beat.name, beat.at.elapsed())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The heartbeat of one loop. Dropping it ends the watch: the loop has ended, which is for
/// [`crate::tasks::Tasks`] to judge.
#[derive(Debug)]
pub struct Pulse {
    liveness: Liveness,
    id: u64,
}

impl Pulse {
    /// Says that the loop still turns.
    pub fn beat(&self) {
        if let Some(beat) = self.liveness.lock().beats.get_mut(&self.id) {
            beat.at = Instant::now();
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.liveness.lock().beats.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_silent_loop_is_named_until_it_beats_or_ends() {
        let liveness = Liveness::new();
        let replay = liveness.watch("replay", Duration::from_secs(10));
        let upload = liveness.watch("upload", Duration::from_secs(60));
        advance(Duration::from_secs(10)).await;
        assert_eq!(liveness.silent(), []);
        advance(Duration::from_secs(1)).await;
        assert_eq!(liveness.silent(), [("replay", Duration::from_secs(11))]);
        replay.beat();
        assert_eq!(liveness.silent(), []);
        advance(Duration::from_secs(50)).await;
        assert_eq!(liveness.silent().len(), 2);
        drop((replay, upload));
        assert_eq!(liveness.silent(), []);
    }
}
