//! The loop: look at the ledger, decide, apply, wait. It ends with the process and for no other reason; what goes wrong
//! is told by the status and tried again. The position is always the one that the LDB holds.

mod decide;
mod plan;
mod stop;
mod suspicion;
mod turn;

use std::time::{Duration, Instant, SystemTime};

use daemon::admin::Pulse;
use daemon::backoff::Backoff;
use daemon::log::Chain;
use rand::RngExt as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) use plan::{Action, Standing, Step};
pub(crate) use stop::Stop;

use crate::ldb::Writer;
use crate::metrics::Metrics;
use crate::replay::suspicion::Suspicion;
use crate::replay::turn::{Next, Turn};
use crate::source::{Fetched, Limit, SourceError, Upstream};
use crate::status::{Seen, State, Status};

/// What one look takes: about one transaction of the LDB, and little memory.
const LIMIT: Limit = Limit { entries: 10_000, bytes: 4 << 20 };
/// However long the poll interval, a failure is looked at again after so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the loop needs.
pub(crate) struct Replay {
    pub(crate) upstream: Upstream,
    pub(crate) status: Status,
    pub(crate) metrics: Metrics,
    pub(crate) poll_interval: Duration,
    pub(crate) pulse: Pulse,
}

/// A blocking piece of work panicked.
#[derive(Debug, thiserror::Error)]
#[error("the LDB's writer ended early")]
pub(crate) struct ReplayError(#[from] tokio::task::JoinError);

impl Replay {
    /// Runs until `stop`.
    pub(crate) async fn run(
        mut self,
        mut writer: Writer,
        stop: CancellationToken,
    ) -> Result<(), ReplayError> {
        let mut waits = Waits::new(self.poll_interval);
        self.tell_position(&writer);
        loop {
            self.pulse.beat();
            let from = writer.standing().position;
            let fetched = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                fetched = self.upstream.fetch(from, LIMIT) => fetched,
            };
            let looked = self.looked(&fetched);
            let turn;
            (writer, turn) = blocking(writer, fetched.ok()).await?;
            self.tell_position(&writer);
            let pause = self.after(looked, turn, &mut waits);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        // Closing the file may write.
        Ok(tokio::task::spawn_blocking(move || drop(writer)).await?)
    }

    /// Did the look succeed? Tells what it showed.
    fn looked(&self, fetched: &Result<Fetched, SourceError>) -> bool {
        match fetched {
            Ok(fetched) => {
                let Fetched { history, head, low_water, .. } = *fetched;
                let tip = fetched.tip.map(|tip| tip.chain);
                let seen = Seen { history, head, low_water, tip, at: SystemTime::now() };
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

    /// Tells what became of it; how long to wait.
    fn after(&self, looked: bool, turn: Turn, waits: &mut Waits) -> Duration {
        let Turn { applied, skipped, next } = turn;
        self.metrics.entries.inc_by(applied);
        self.metrics.skipped.inc_by(skipped);
        match next {
            Err(error) => {
                self.metrics.ldb_errors.inc();
                let message = Chain(&error).to_string();
                if self.status.enter(State::LdbTrouble, Some(message)) {
                    tracing::error!(error = %Chain(&error), "cannot write the LDB, reads go on");
                }
                waits.failure()
            }
            Ok(_) if !looked => waits.failure(),
            Ok(Next::More) => {
                waits.well();
                self.following();
                Duration::ZERO
            }
            // Neither well nor ill: what was told and remembered before stands.
            Ok(Next::Within) => Duration::ZERO,
            Ok(Next::Idle) => {
                waits.well();
                self.following();
                waits.poll()
            }
            Ok(Next::Stop(stop)) => self.stopped(&stop, waits),
        }
    }

    fn following(&self) {
        if self.status.enter(State::Following, None) {
            tracing::info!("following the ledger");
        }
    }

    fn stopped(&self, stop: &Stop, waits: &mut Waits) -> Duration {
        if let Stop::Hole { from, .. } = stop
            && !waits.suspicion.confirm(*from, Instant::now())
        {
            return waits.poll().min(Duration::from_secs(1));
        }
        if self.status.enter(State::from(stop), Some(stop.to_string())) {
            tracing::error!(reason = %stop, "replay stands still, reads go on");
        }
        match stop {
            Stop::Poison(_) | Stop::TooOld { .. } => waits.failure(),
            Stop::Behind { .. }
            | Stop::Forked { .. }
            | Stop::Pruned { .. }
            | Stop::Hole { .. }
            | Stop::Held { .. } => waits.poll(),
        }
    }

    fn tell_position(&self, writer: &Writer) {
        self.status.update(|report| {
            report.position = writer.position;
            report.last_update = writer.last_update;
            report.wal_bytes = writer.wal_bytes();
        });
    }
}

/// How long to wait, and what is remembered between looks.
struct Waits {
    poll_interval: Duration,
    backoff: Backoff,
    suspicion: Suspicion,
}

impl Waits {
    fn new(poll_interval: Duration) -> Self {
        let longest = (poll_interval * 30).min(LONGEST_PAUSE).max(poll_interval);
        let backoff = Backoff::new(poll_interval, longest);
        Self { poll_interval, backoff, suspicion: Suspicion::default() }
    }

    /// A thousand nodes must not ask in step.
    fn poll(&self) -> Duration {
        self.poll_interval.mul_f64(rand::rng().random_range(0.75..1.25))
    }

    fn failure(&mut self) -> Duration {
        self.backoff.next()
    }

    fn well(&mut self) {
        self.backoff.reset();
        self.suspicion.clear();
    }
}

async fn blocking(
    mut writer: Writer,
    fetched: Option<Fetched>,
) -> Result<(Writer, Turn), tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || {
        let turn = turn::turn(&mut writer, fetched.as_ref());
        (writer, turn)
    })
    .await
}
