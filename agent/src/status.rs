//! How the agent is, as it tells it everywhere: in `/v1/status`, in metrics and, once per change, in the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ledger::{Chain, History, LeaderTs, Position, Seq};

use crate::ldb::Health;
use crate::replay::{CatchUp, Stop};

/// What replay is doing. Reads are served in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// ctldb was not asked yet.
    Starting,
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
    pub(crate) const ALL: [State; 11] = [
        State::Starting,
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
    /// The file itself.
    pub(crate) ldb: Health,
    /// While many entries are missing and come.
    pub(crate) catch_up: Option<CatchUp>,
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
}

impl Report {
    /// Age of the newest entry applied. It rises while nobody writes.
    pub(crate) fn lag(&self) -> Option<Duration> {
        let micros = u64::try_from(self.last_update?.as_micros()).ok()?;
        let written = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))?;
        // Clocks differ; an entry of the future has no age.
        Some(SystemTime::now().duration_since(written).unwrap_or_default())
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
            ldb: Health::default(),
            catch_up: None,
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
