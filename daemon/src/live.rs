//! Liveness by heartbeats: a loop that stays silent for too long is named, and the kubelet restarts the process. Never
//! watch something outside the process here: a database that is away, a full disk and a reader that holds the writer up
//! are no reason to restart. They are told as the reason for which a loop is blocked, and `/livez` stays 200.
//!
//! A long piece of blocking work (SQLite, a copy of a file) does not beat. It says what it is and on which thread, and the
//! system is asked whether that thread gets on: one that computes, reads or writes does; one in the system's own wait for a
//! disk is blocked by that, which no restart would mend; one that does neither hangs.

mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::live::work::{Getting, Thread, Watched};

/// What `/livez` asks. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Liveness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    loops: BTreeMap<u64, Loop>,
}

#[derive(Debug)]
struct Loop {
    name: &'static str,
    max_silence: Duration,
    beat: Instant,
    blocked: Option<Blocked>,
    work: Option<Watched>,
}

#[derive(Debug)]
struct Blocked {
    since: Instant,
    reason: String,
}

/// How a loop is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It turns.
    Well,
    /// It does not do what it is for, for a reason outside of the process; a restart would not help.
    Blocked(String),
    /// It hangs: restart the process.
    Hung(String),
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
        let watched = Loop { name, max_silence, beat: Instant::now(), blocked: None, work: None };
        state.loops.insert(id, watched);
        Pulse { liveness: self.clone(), id }
    }

    /// How each loop is, by the order in which they began. What a thread does is measured from one call to the next.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(&'static str, Verdict)> {
        let mut state = self.lock();
        state.loops.values_mut().map(|each| (each.name, each.verdict(Instant::now()))).collect()
    }

    fn with(&self, id: u64, change: impl FnOnce(&mut Loop)) {
        if let Some(each) = self.lock().loops.get_mut(&id) {
            change(each);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loop {
    fn verdict(&mut self, now: Instant) -> Verdict {
        let silence = now.duration_since(self.beat);
        let getting = self.work.as_mut().map(|work| work.look(now));
        if silence <= self.max_silence {
            return self.blocked.as_ref().map_or(Verdict::Well, |blocked| {
                let seconds = now.duration_since(blocked.since).as_secs();
                Verdict::Blocked(format!("blocked for {seconds} s: {}", blocked.reason))
            });
        }
        let seconds = silence.as_secs();
        match (getting, &self.work) {
            (Some(Getting::Still(still)), Some(work)) if still > self.max_silence => Verdict::Hung(
                format!("silent for {seconds} s: {}, which does not get on", work.what),
            ),
            (Some(Getting::Disk), Some(work)) => Verdict::Blocked(format!(
                "blocked for {seconds} s: {}, which waits for the disk",
                work.what
            )),
            (Some(Getting::On | Getting::Still(_)), Some(work)) => Verdict::Blocked(format!(
                "blocked for {seconds} s: {}, which takes its time",
                work.what
            )),
            (None, _) | (_, None) => Verdict::Hung(format!("silent for {seconds} s")),
        }
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
        self.liveness.with(self.id, |each| each.beat = Instant::now());
    }

    /// Says why the loop, which still turns, does not do what it is for; with `None`, that it does again. The reason is
    /// shown to anyone: it must hold no secret.
    pub fn blocked(&self, reason: Option<String>) {
        self.liveness.with(self.id, |each| {
            let now = Instant::now();
            each.beat = now;
            let since = each.blocked.as_ref().map_or(now, |blocked| blocked.since);
            each.blocked = reason.map(|reason| Blocked { since, reason });
        });
    }

    /// For a piece of blocking work of this loop, which may take long: see [`Bench::work`].
    #[must_use]
    pub fn bench(&self) -> Bench {
        Bench { liveness: self.liveness.clone(), id: self.id }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.liveness.lock().loops.remove(&self.id);
    }
}

/// Where a loop has blocking work done; it may be sent to the thread that does it.
#[derive(Debug, Clone)]
pub struct Bench {
    liveness: Liveness,
    id: u64,
}

impl Bench {
    /// Says that this very thread is at work for the loop, until the value is dropped, which is a beat.
    #[must_use = "the work is watched only while the value lives"]
    pub fn work(&self, what: &'static str) -> Work {
        let watched = Watched::new(what, Thread::current(), Instant::now());
        self.liveness.with(self.id, |each| each.work = Some(watched));
        Work(self.clone())
    }
}

/// A piece of work, see [`Bench::work`].
#[derive(Debug)]
pub struct Work(Bench);

impl Drop for Work {
    fn drop(&mut self) {
        let Bench { liveness, id } = &self.0;
        liveness.with(*id, |each| {
            each.work = None;
            each.beat = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn hung(liveness: &Liveness) -> Vec<(&'static str, String)> {
        let verdicts = liveness.verdicts().into_iter();
        let hung = verdicts.filter_map(|(name, verdict)| match verdict {
            Verdict::Hung(why) => Some((name, why)),
            Verdict::Well | Verdict::Blocked(_) => None,
        });
        hung.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_silent_loop_is_named_until_it_beats_or_ends() {
        let liveness = Liveness::new();
        let replay = liveness.watch("replay", Duration::from_secs(10));
        let upload = liveness.watch("upload", Duration::from_secs(60));
        advance(Duration::from_secs(10)).await;
        assert_eq!(hung(&liveness), []);
        advance(Duration::from_secs(1)).await;
        assert_eq!(hung(&liveness), [("replay", "silent for 11 s".to_owned())]);
        replay.beat();
        assert_eq!(hung(&liveness), []);
        advance(Duration::from_secs(50)).await;
        assert_eq!(hung(&liveness).len(), 2);
        drop((replay, upload));
        assert_eq!(hung(&liveness), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_loop_says_why_and_is_not_restarted() {
        let liveness = Liveness::new();
        let replay = liveness.watch("replay", Duration::from_secs(10));
        replay.blocked(Some("the disk is full".to_owned()));
        advance(Duration::from_secs(7)).await;
        replay.blocked(Some("the disk is still full".to_owned()));
        let why = "blocked for 7 s: the disk is still full".to_owned();
        assert_eq!(liveness.verdicts(), [("replay", Verdict::Blocked(why))]);
        replay.blocked(None);
        assert_eq!(liveness.verdicts(), [("replay", Verdict::Well)]);
        // A reason is no excuse for silence.
        replay.blocked(Some("the disk is full".to_owned()));
        advance(Duration::from_secs(11)).await;
        assert_eq!(hung(&liveness).len(), 1);
    }

    /// Runs `work` on a thread for the loop; what is said of it when the loop has been silent for 30 s.
    async fn silent_while(work: impl FnOnce() + Send + 'static) -> Vec<Verdict> {
        let liveness = Liveness::new();
        let pulse = liveness.watch("replay", Duration::from_secs(10));
        let (began, begins) = std::sync::mpsc::channel();
        let bench = pulse.bench();
        let thread = std::thread::spawn(move || {
            let _work = bench.work("applying entries");
            began.send(()).unwrap();
            work();
        });
        begins.recv().unwrap();
        let mut said = Vec::new();
        for _ in 0..2 {
            let _ = liveness.verdicts();
            // Real time, in which the thread may get on.
            std::thread::sleep(Duration::from_millis(100));
            advance(Duration::from_secs(15)).await;
            said.extend(liveness.verdicts().into_iter().map(|(_, verdict)| verdict));
        }
        drop(pulse);
        drop(thread);
        said
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_gets_on_is_waited_for_and_work_that_hangs_is_not() {
        let (go_on, stop) = std::sync::mpsc::channel::<()>();
        let busy = move || while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {};
        let said = silent_while(busy).await;
        let want = "applying entries, which takes its time";
        let takes_time =
            |said: &Verdict| matches!(said, Verdict::Blocked(why) if why.contains(want));
        assert!(said.iter().all(takes_time), "{said:?}");
        drop(go_on);

        let (go_on, stop) = std::sync::mpsc::channel::<()>();
        let said = silent_while(move || while stop.recv().is_ok() {}).await;
        let want = "silent for 30 s: applying entries, which does not get on".to_owned();
        assert_eq!(said.last(), Some(&Verdict::Hung(want)));
        drop(go_on);
    }
}
