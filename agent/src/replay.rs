//! The loop: look at the ledger, decide, apply, wait. It ends with the process and for no other reason; what goes wrong
//! is told by the status and tried again. The position is always the one that the LDB holds.

mod ahead;
pub(crate) mod bar;
mod decide;
mod plan;
mod progress;
pub(crate) mod requests;
mod room;
mod stop;
mod suspicion;
mod told;
mod turn;

use std::time::{Duration, Instant};

use daemon::admin::Pulse;
use daemon::backoff::Backoff;
use daemon::log::Chain;
use ledger::{Position, Seq};
use rand::RngExt as _;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) use plan::{Action, Standing, Step};
pub(crate) use progress::CatchUp;
pub(crate) use requests::{RequestError, Requests};
pub(crate) use stop::Stop;
pub(crate) use told::Told;

use crate::ldb::{Error, Writer};
use crate::replay::ahead::Batch;
use crate::replay::decide::decide;
use crate::replay::plan::{Plan, Then};
use crate::replay::requests::{Asked, Request};
use crate::replay::room::Room;
use crate::replay::suspicion::Suspicion;
use crate::replay::turn::{Next, Turn, turn};
use crate::source::{Fetched, Limit, Upstream};
use crate::status::State;

/// What one look takes, to begin with: soon applied, and little memory.
const LIMIT: Limit = Limit { entries: 1000, bytes: 4 << 20 };
/// However long the poll interval, a failure is looked at again after so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the loop needs.
pub(crate) struct Replay {
    upstream: Upstream,
    told: Told,
    asked: Asked,
    /// It came while the loop was busy.
    request: Option<Request>,
    poll_interval: Duration,
    pulse: Pulse,
    room: Room,
    /// Up to here, nothing is fetched ahead: what was in hand had to be dropped.
    alone_until: Seq,
}

/// A blocking piece of work panicked.
#[derive(Debug, thiserror::Error)]
#[error("the LDB's writer ended early")]
pub(crate) struct ReplayError(#[from] JoinError);

impl Replay {
    pub(crate) fn new(
        upstream: Upstream,
        told: Told,
        asked: Asked,
        poll_interval: Duration,
        pulse: Pulse,
    ) -> Self {
        let (room, alone_until, request) = (Room::new(), Seq::ZERO, None);
        Self { upstream, told, asked, request, poll_interval, pulse, room, alone_until }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(
        mut self,
        mut writer: Writer,
        stop: CancellationToken,
    ) -> Result<(), ReplayError> {
        let mut waits = Waits::new(self.poll_interval);
        self.told.position(&writer);
        loop {
            self.pulse.beat();
            while let Some(request) = self.request.take().or_else(|| self.asked.now()) {
                writer = self.serve(writer, request).await?;
            }
            let from = writer.standing().position;
            let taken = self.room.for_look(LIMIT.bytes).await;
            let fetched = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                fetched = self.upstream.fetch(from, LIMIT) => fetched,
            };
            let looked = self.told.looked(&fetched);
            let plan = match fetched {
                Ok(fetched) => Some(planned(writer.standing(), fetched).await?),
                Err(_) => None,
            };
            let turn;
            (writer, turn) = match plan {
                Some(plan) if self.may_look_ahead(from, &plan) => {
                    self.catch_up(writer, Batch { plan, taken }, &stop).await?
                }
                plan => blocking(writer, plan).await?,
            };
            self.told.applied(&writer, &turn);
            let pause = self.after(&writer, looked, turn, &mut waits);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                request = self.asked.next() => self.request = Some(request),
                () = sleep(pause) => {}
            }
        }
        // Closing the file may write.
        Ok(spawn_blocking(move || drop(writer)).await?)
    }

    /// Does what another task asks for. It need not be there any more for the answer.
    async fn serve(&mut self, mut writer: Writer, request: Request) -> Result<Writer, JoinError> {
        let serve = move || {
            match request {
                Request::Freeze { budget, answer } => {
                    drop(answer.send(writer.freeze(budget).map_err(Into::into)));
                }
                Request::Publish { draft, claim, answer } => {
                    drop(answer.send(writer.publish(draft, claim).map_err(Into::into)));
                }
                Request::Rebuild { answer } => {
                    drop(answer.send(writer.begin_rebuild().map_err(Into::into)));
                }
            }
            writer
        };
        let writer = spawn_blocking(serve).await?;
        self.told.position(&writer);
        Ok(writer)
    }

    fn may_look_ahead(&self, from: Option<Position>, plan: &Plan) -> bool {
        let stands = from.map_or(Seq::ZERO, |position| position.seq);
        plan.then == Then::More && !plan.steps.is_empty() && stands >= self.alone_until
    }

    /// Tells what became of it; how long to wait.
    fn after(&mut self, writer: &Writer, looked: bool, turn: Turn, waits: &mut Waits) -> Duration {
        let next = turn.next;
        if !matches!(next, Ok(Next::More | Next::Within | Next::Again(_))) {
            self.told.rested(writer);
        }
        match next {
            Err(error) => {
                let cure = error.cure().map(|cure| format!(". {cure}")).unwrap_or_default();
                let message = format!("{}{cure}", Chain(&error));
                if self.told.status.enter(State::LdbTrouble, Some(message)) {
                    tracing::error!(error = %Chain(&error), "cannot write the LDB, reads go on");
                }
                match error {
                    // It is known when the file may be replaced.
                    Error::Held { wait, .. } => waits.failure().min(wait),
                    _ => waits.failure(),
                }
            }
            Ok(_) if !looked => waits.failure(),
            Ok(Next::More) => {
                waits.well();
                self.told.well(writer);
                Duration::ZERO
            }
            // Neither well nor ill: what was told and remembered before stands.
            Ok(Next::Within) => Duration::ZERO,
            Ok(Next::Again(seq)) => {
                self.alone_until = seq;
                Duration::ZERO
            }
            Ok(Next::Idle) => {
                waits.well();
                self.told.following();
                waits.poll()
            }
            Ok(Next::Stop(stop)) => self.stopped(&stop, waits),
        }
    }

    fn stopped(&self, stop: &Stop, waits: &mut Waits) -> Duration {
        if let Stop::Hole { from, .. } = stop
            && !waits.suspicion.confirm(*from, Instant::now())
        {
            return waits.poll().min(Duration::from_secs(1));
        }
        if self.told.status.enter(State::from(stop), Some(stop.to_string())) {
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

/// Decides; reading many statements takes a while.
async fn planned(standing: Standing, fetched: Fetched) -> Result<Plan, JoinError> {
    if fetched.entries.len() < 2 {
        return Ok(decide(standing, &fetched));
    }
    spawn_blocking(move || decide(standing, &fetched)).await
}

async fn blocking(mut writer: Writer, plan: Option<Plan>) -> Result<(Writer, Turn), JoinError> {
    spawn_blocking(move || {
        let turn = turn(&mut writer, plan.as_ref());
        (writer, turn)
    })
    .await
}

#[cfg(test)]
mod tests;
