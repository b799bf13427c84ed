//! What the loop tells of itself: state, position, counters, and how catching up comes along.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use daemon::log::Chain;
use ledger::Seq;

use crate::bootstrap::ready::Serving;
use crate::ldb::Writer;
use crate::metrics::Metrics;
use crate::replay::progress::Progress;
use crate::replay::turn::Turn;
use crate::source::{Fetched, SourceError};
use crate::status::{Seen, State, Status};

/// Clones tell in the same place.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) status: Status,
    metrics: Metrics,
    serving: Serving,
    progress: Arc<Mutex<Option<Progress>>>,
}

impl Told {
    pub(crate) fn new(status: Status, metrics: Metrics, serving: Serving) -> Self {
        Self { status, metrics, serving, progress: Arc::default() }
    }

    /// Tells what a look showed. Did it succeed?
    pub(crate) fn looked(&self, fetched: &Result<Fetched, SourceError>) -> bool {
        match fetched {
            Ok(fetched) => {
                let Fetched { history, head, low_water, .. } = *fetched;
                let tip = fetched.tip.map(|tip| tip.chain);
                let (at, asked) = (SystemTime::now(), Instant::now());
                let seen = Seen { history, head, low_water, tip, at, asked };
                self.status.update(|report| report.ledger = Some(seen));
                true
            }
            Err(error) => {
                self.metrics.fetch_error(error.kind());
                let message = Chain(error).to_string();
                if self.status.enter(State::Away, Some(message)) {
                    tracing::warn!(error = %Chain(error), "cannot look at the ledger, reads go on");
                }
                false
            }
        }
    }

    /// Tells what a turn did to the LDB.
    pub(crate) fn applied(&self, writer: &Writer, turn: &Turn) {
        self.metrics.entries.inc_by(turn.applied);
        self.metrics.skipped.inc_by(turn.skipped);
        if turn.applied > 0 {
            self.metrics.apply.observe(turn.took.as_secs_f64());
        }
        if turn.next.is_err() {
            self.metrics.ldb_errors.inc();
        }
        self.status.update(|report| {
            report.changes += turn.changes;
            report.last_change = turn.last_change.or(report.last_change);
        });
        self.position(writer);
    }

    pub(crate) fn position(&self, writer: &Writer) {
        self.status.update(|report| {
            report.position = writer.position;
            report.last_update = writer.last_update;
            report.ldb = writer.health();
        });
    }

    /// The last look showed nothing that the LDB has not.
    pub(crate) fn nothing_new(&self) {
        self.status.update(|report| {
            report.nothing_new = report.ledger.map(|seen| seen.asked);
        });
    }

    /// Why replay does not go on, while it does not.
    pub(crate) fn reason(&self) -> Option<String> {
        self.status.report().message
    }

    /// There is no LDB, and the bootstrap is asked what to begin with. It tells the rest.
    pub(crate) fn begins(&self) {
        let message = self.status.report().bootstrap.and_then(|told| told.message);
        self.status.enter(State::Bootstrapping, message);
    }

    /// The LDB has all that the ledger has, or all that it can get of it.
    pub(crate) fn caught_up(&self, writer: &Writer) {
        self.status.update(|report| {
            if let Some(told) = &mut report.bootstrap {
                told.caught_up(seq(writer));
            }
        });
        self.serving.begin();
    }

    /// There is an LDB.
    pub(crate) fn serves(&self, writer: &Writer) {
        if writer.serves() {
            self.serving.begin();
        }
    }

    pub(crate) fn following(&self) {
        if self.status.enter(State::Following, None) {
            tracing::info!("following the ledger");
        }
    }

    /// Entries come, and there are more.
    pub(crate) fn well(&self, writer: &Writer) {
        self.following();
        let (now, seq) = (Instant::now(), seq(writer));
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = progress.get_or_insert_with(|| Progress::new(seq, now));
        let mut head = seq;
        self.status.update(|report| {
            head = report.ledger.map_or(seq, |seen| seen.head);
            report.catch_up = Some(progress.moved(seq, head, now));
        });
        if progress.tells(now) {
            let catch_up = progress.moved(seq, head, now);
            tracing::info!(
                position = %seq,
                missing = catch_up.missing,
                entries_per_second = catch_up.per_second.round(),
                seconds_left = catch_up.left.map(|left| left.as_secs()),
                "catching up with the ledger"
            );
        }
    }

    /// Nothing more comes for now.
    pub(crate) fn rested(&self, writer: &Writer) {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(progress) = progress else { return };
        self.status.update(|report| report.catch_up = None);
        if let Some((entries, time)) = progress.ended(seq(writer), Instant::now()) {
            let seconds = time.as_secs();
            tracing::info!(position = %seq(writer), entries, seconds, "catching up ended");
        }
    }
}

fn seq(writer: &Writer) -> Seq {
    writer.position.map_or(Seq::ZERO, |position| position.seq)
}
