//! How the agent is, as it tells it everywhere: in `/v1/status`, in metrics and, once per change, in the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ledger::{Chain, History, LeaderTs, Position, Seq};

use crate::bootstrap;
use crate::changes::LogReport;
use crate::ldb::Health;
use crate::replay::{CatchUp, Stop};
use crate::supervisor::Uploaded;

/// What replay is doing. Reads are served in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// ctldb was not asked yet.
    Starting,
    /// There is no LDB yet, and something better than the ledger's beginning to begin with.
    Bootstrapping,
    /// All is well.
    Following,
    /// ctldb cannot be asked.
    Away,
    Behind,
    Forked,
    Pruned,
    Hole,
    Poisoned,
    TooOld,
    Held,
    /// The node's own disk fails.
    LdbTrouble,
}

impl State {
    pub(crate) const ALL: [State; 12] = [
        State::Starting,
        State::Bootstrapping,
        State::Following,
        State::Away,
        State::Behind,
        State::Forked,
        State::Pruned,
        State::Hole,
        State::Poisoned,
        State::TooOld,
        State::Held,
        State::LdbTrouble,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Bootstrapping => "bootstrapping",
            State::Following => "following",
            State::Away => "ctldb_away",
            State::Behind => "ctldb_behind",
            State::Forked => "forked",
            State::Pruned => "pruned",
            State::Hole => "hole",
            State::Poisoned => "poisoned",
            State::TooOld => "too_old",
            State::Held => "held",
            State::LdbTrouble => "ldb_trouble",
        }
    }
}

impl From<&Stop> for State {
    fn from(stop: &Stop) -> Self {
        match stop {
            Stop::Behind { .. } => State::Behind,
            Stop::Forked { .. } => State::Forked,
            Stop::Pruned { .. } => State::Pruned,
            Stop::Hole { .. } => State::Hole,
            Stop::Poison(_) => State::Poisoned,
            Stop::TooOld { .. } => State::TooOld,
            Stop::Held { .. } => State::Held,
        }
    }
}

/// Everything that is told.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) state: State,
    /// Why, and the cure.
    pub(crate) message: Option<String>,
    /// Of the state.
    pub(crate) since: SystemTime,
    pub(crate) position: Option<Position>,
    /// When the entry at the position was written.
    pub(crate) last_update: Option<LeaderTs>,
    /// The ledger as it was last seen.
    pub(crate) ledger: Option<Seen>,
    /// When the ledger was last asked and had nothing that the LDB has not.
    pub(crate) nothing_new: Option<Instant>,
    /// The file itself.
    pub(crate) ldb: Health,
    /// While many entries are missing and come.
    pub(crate) catch_up: Option<CatchUp>,
    /// Entries applied since the start that are no heartbeats; not fewer than there were.
    pub(crate) changes: u64,
    /// The last of them.
    pub(crate) last_change: Option<Seq>,
    /// Where snapshots are uploaded.
    pub(crate) snapshot: Option<Uploaded>,
    /// How the node began, or begins anew.
    pub(crate) bootstrap: Option<bootstrap::told::Told>,
    /// How the change log's file is, where one is asked for.
    pub(crate) changelog: Option<LogReport>,
}

/// A ledger as it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) history: History,
    pub(crate) head: Seq,
    pub(crate) low_water: Seq,
    /// The chain at its last entry, as its books have it.
    pub(crate) tip: Option<Chain>,
    pub(crate) at: SystemTime,
    /// The same by a clock that nobody sets.
    pub(crate) asked: Instant,
}

impl Report {
    /// Age of the newest entry applied, by the clocks of ctldb's writers and of this node. It rises while nobody writes, so
    /// heartbeats bound it. An entry of the future has no age: see [`Report::clock_behind`].
    pub(crate) fn lag(&self) -> Option<Duration> {
        Some(SystemTime::now().duration_since(self.written()?).unwrap_or_default())
    }

    /// How far this node's clock is behind at least: by so much, the newest entry applied is of its future.
    pub(crate) fn clock_behind(&self) -> Option<Duration> {
        Some(self.written()?.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Time since the ledger was last asked and had nothing that the LDB has not. Unlike the lag it depends on no other
    /// clock and on no writes: what was written before this time is here.
    pub(crate) fn since_nothing_new(&self) -> Option<Duration> {
        Some(self.nothing_new?.elapsed())
    }

    fn written(&self) -> Option<SystemTime> {
        let micros = u64::try_from(self.last_update?.as_micros()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))
    }

    /// Entries that the ledger has and the LDB has not.
    pub(crate) fn missing(&self) -> Option<u64> {
        let ledger = self.ledger?;
        let applied = self.position.map_or(Seq::ZERO, |position| position.seq);
        // A new history begins with a head above its last entry.
        let all = ledger.tip.is_some() && ledger.tip == self.position.map(|own| own.chain);
        Some(if all { 0 } else { ledger.head.since(applied) })
    }
}

/// The one report of the process. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Status(Arc<Mutex<Report>>);

impl Status {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Report {
            state: State::Starting,
            message: None,
            since: SystemTime::now(),
            position: None,
            last_update: None,
            ledger: None,
            nothing_new: None,
            ldb: Health::default(),
            catch_up: None,
            changes: 0,
            last_change: None,
            snapshot: None,
            bootstrap: None,
            changelog: None,
        })))
    }

    pub(crate) fn report(&self) -> Report {
        self.lock().clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.lock());
    }

    /// Changes the state; true when it is another, or another entry is concerned.
    pub(crate) fn enter(&self, state: State, message: Option<String>) -> bool {
        let mut report = self.lock();
        let other = report.state != state;
        // What failed on the way to ctldb differs from time to time and is no news.
        let news = other || (state != State::Away && report.message != message);
        if other {
            report.since = SystemTime::now();
        }
        report.state = state;
        report.message = message;
        news
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_future_has_no_age_but_tells_of_the_clock() {
        let mut report = Status::new().report();
        assert_eq!((report.lag(), report.clock_behind()), (None, None));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let at = |since: Duration| LeaderTs::from_micros(i64::try_from(since.as_micros()).unwrap());
        let minute = Duration::from_secs(60);
        report.last_update = Some(at(now - minute));
        assert!(report.lag().unwrap() >= minute);
        assert_eq!(report.clock_behind(), Some(Duration::ZERO));
        report.last_update = Some(at(now + minute));
        assert_eq!(report.lag(), Some(Duration::ZERO));
        assert!(report.clock_behind().unwrap() > minute / 2);
    }
}
