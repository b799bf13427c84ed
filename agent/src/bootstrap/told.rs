//! How bootstrapping stands, as it is told in the status, in metrics, on a terminal and in the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ledger::{Position, Seq};
use serde::Serialize;
use tokio::time::Instant;

use crate::bootstrap::load::Loaded;
use crate::bootstrap::ready::Serving;
use crate::status::{Report, State, Status};

/// Between two lines of the log.
const LINES: Duration = Duration::from_secs(5);

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Looks at what there is.
    Looking,
    Downloading,
    /// What was downloaded is checked and takes the place of what is served.
    Switching,
    /// The ledger is replayed from its beginning.
    Replaying,
    /// Nothing can be done yet; looked at again.
    Waiting,
    /// Other nodes have their turn first.
    Queued,
    /// It did not work; tried again.
    Failed,
    /// The node has what it needed.
    Done,
}

impl Phase {
    pub(crate) const ALL: [Phase; 8] = [
        Phase::Looking,
        Phase::Downloading,
        Phase::Switching,
        Phase::Replaying,
        Phase::Waiting,
        Phase::Queued,
        Phase::Failed,
        Phase::Done,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::Looking => "looking",
            Phase::Downloading => "downloading",
            Phase::Switching => "switching",
            Phase::Replaying => "replaying",
            Phase::Waiting => "waiting",
            Phase::Queued => "queued",
            Phase::Failed => "failed",
            Phase::Done => "done",
        }
    }
}

/// How it stands. Kept after success.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Told {
    pub(crate) phase: Phase,
    /// The snapshot that the node came from.
    pub(crate) from: Option<Position>,
    /// When that was taken, milliseconds since 1970.
    pub(crate) taken_at_ms: Option<u64>,
    /// Entries of the ledger that came after it, until the node had caught up.
    pub(crate) entries_after: Option<u64>,
    /// Of the file, got so far.
    pub(crate) bytes: u64,
    pub(crate) of: u64,
    pub(crate) bytes_per_second: u64,
    pub(crate) seconds_left: Option<u64>,
    /// Of the phase, milliseconds since 1970.
    pub(crate) since_ms: u64,
    /// Looks and downloads since the node was well.
    pub(crate) attempts: u32,
    /// Why it is so, and the cure.
    pub(crate) message: Option<String>,
}

impl Told {
    pub(crate) fn begun() -> Self {
        Self {
            phase: Phase::Looking,
            from: None,
            taken_at_ms: None,
            entries_after: None,
            bytes: 0,
            of: 0,
            bytes_per_second: 0,
            seconds_left: None,
            since_ms: now_ms(),
            attempts: 0,
            message: None,
        }
    }

    /// The LDB stands here, and the ledger has no more.
    pub(crate) fn caught_up(&mut self, own: Seq) {
        if self.phase == Phase::Done && self.entries_after.is_none() {
            self.entries_after = self.from.map(|from| own.since(from.seq));
        }
        if self.phase == Phase::Replaying {
            self.enter(Phase::Done, None);
        }
    }

    fn enter(&mut self, phase: Phase, message: Option<String>) {
        if self.phase != phase {
            (self.phase, self.since_ms) = (phase, now_ms());
        }
        self.message = message;
    }
}

/// Tells it.
#[derive(Debug)]
pub(crate) struct Teller {
    status: Status,
    serving: Serving,
    download: Mutex<Option<Run>>,
}

/// A download that goes on.
#[derive(Debug, Clone, Copy)]
struct Run {
    began: Instant,
    /// What was there from before.
    bytes: u64,
    line: Instant,
}

impl Teller {
    pub(crate) fn new(status: Status, serving: Serving) -> Self {
        Self { status, serving, download: Mutex::default() }
    }

    /// Tells a change of phase or message; in the log, too, if it is news.
    pub(crate) fn phase(&self, phase: Phase, message: String) {
        let message = (!message.is_empty()).then_some(message);
        let mut news = false;
        self.status.update(|report| {
            let told = report.bootstrap.get_or_insert_with(Told::begun);
            if phase == Phase::Looking {
                told.attempts = if told.phase == Phase::Done { 1 } else { told.attempts + 1 };
                // What is the matter stands until it is known to be otherwise.
                if !matches!(told.phase, Phase::Waiting | Phase::Failed | Phase::Queued) {
                    told.enter(phase, None);
                }
                return;
            }
            news = told.phase != phase || told.message != message;
            told.enter(phase, message.clone());
            if report.state == State::Bootstrapping {
                report.message.clone_from(&message);
            }
        });
        let text = message.as_deref().unwrap_or_default();
        match phase {
            Phase::Waiting | Phase::Failed if news => {
                tracing::warn!(reason = text, "bootstrap: {}, reads go on", phase.as_str());
            }
            Phase::Queued | Phase::Replaying | Phase::Switching if news => {
                tracing::info!(reason = text, "bootstrap: {}", phase.as_str());
            }
            _ => {}
        }
        if !text.is_empty() {
            self.serving.not_yet(text);
        }
        *self.lock() = None;
    }

    /// So much of a snapshot is there.
    pub(crate) fn progress(&self, bytes: u64, of: u64) {
        let now = Instant::now();
        let mut guard = self.lock();
        let run = guard.get_or_insert(Run { began: now, bytes, line: now });
        let millis = u64::try_from(now.duration_since(run.began).as_millis()).unwrap_or(u64::MAX);
        let rate = bytes.saturating_sub(run.bytes).saturating_mul(1000) / millis.max(1);
        let left = (of.saturating_sub(bytes)).checked_div(rate);
        let due = now.duration_since(run.line) >= LINES;
        if due {
            run.line = now;
        }
        drop(guard);
        if of == 0 {
            return;
        }
        self.status.update(|report| {
            let told = report.bootstrap.get_or_insert_with(Told::begun);
            told.enter(Phase::Downloading, None);
            (told.bytes, told.of) = (bytes, of);
            (told.bytes_per_second, told.seconds_left) = (rate, left);
        });
        self.serving.not_yet(&format!("a snapshot is loaded: {bytes} of {of} bytes"));
        if due {
            tracing::info!(
                bytes,
                of,
                bytes_per_second = rate,
                seconds_left = left,
                "loading a snapshot"
            );
        }
    }

    /// A snapshot was taken into use.
    pub(crate) fn done(&self, loaded: &Loaded) -> String {
        let Loaded { position, taken_at, bytes } = loaded;
        let text = format!("the LDB comes from the snapshot at entry {}", position.seq);
        self.status.update(|report| {
            let told = report.bootstrap.get_or_insert_with(Told::begun);
            told.enter(Phase::Done, None);
            (told.from, told.entries_after) = (Some(*position), None);
            told.taken_at_ms = u64::try_from(taken_at.as_micros() / 1000).ok();
            (told.bytes, told.of, told.seconds_left) = (*bytes, *bytes, None);
        });
        tracing::info!(seq = %position.seq, history = %position.history, bytes, "the LDB comes from a snapshot");
        *self.lock() = None;
        text
    }

    /// Nothing is needed.
    pub(crate) fn rests(&self) {
        self.status.update(|report: &mut Report| {
            if let Some(told) = &mut report.bootstrap {
                match told.phase {
                    Phase::Done | Phase::Replaying => {}
                    _ if told.from.is_some() => told.enter(Phase::Done, None),
                    _ => report.bootstrap = None,
                }
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Run>> {
        self.download.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
