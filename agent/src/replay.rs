//! The loop: look at the ledger, decide, apply, wait. It ends with the process and for no other reason; what goes wrong
//! is told by the status and tried again. The position is always the one that the LDB holds.

mod ahead;
pub(crate) mod bar;
mod decide;
mod need;
mod plan;
mod progress;
pub(crate) mod requests;
mod room;
mod serve;
mod stop;
mod suspicion;
mod told;
mod turn;

use std::time::{Duration, Instant};

use daemon::admin::Pulse;
use daemon::backoff::Backoff;
use daemon::live::Bench;
use daemon::log::Chain;
use ledger::{Position, Seq};
use rand::RngExt as _;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) use need::{Need, Needs};
pub(crate) use plan::{Action, Standing, Step};
pub(crate) use progress::CatchUp;
pub(crate) use requests::{Origin, RequestError, Requests};
pub(crate) use serve::Beginning;
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
    needs: Needs,
    beginning: Beginning,
    /// It came while the loop was busy.
    request: Option<Request>,
    poll_interval: Duration,
    pulse: Pulse,
    room: Room,
    /// Up to here, nothing is fetched ahead: what was in hand had to be dropped.
    alone_until: Seq,
}

/// How the loop and other tasks reach each other.
pub(crate) struct Links {
    pub(crate) asked: Asked,
    pub(crate) needs: Needs,
    pub(crate) beginning: Beginning,
}

impl Links {
    /// For a loop that nobody asks and nobody listens to.
    #[cfg(test)]
    pub(crate) fn none(writer: &Writer) -> Self {
        let (asked, needs) = (Requests::new(writer.drafts()).1, Needs::new().0);
        Self { asked, needs, beginning: Beginning::Free }
    }
}

/// A blocking piece of work panicked.
#[derive(Debug, thiserror::Error)]
#[error("the LDB's writer ended early")]
pub(crate) struct ReplayError(#[from] JoinError);

impl Replay {
    pub(crate) fn new(
        upstream: Upstream,
        told: Told,
        links: Links,
        poll_interval: Duration,
        pulse: Pulse,
    ) -> Self {
        let (room, alone_until, request) = (Room::new(), Seq::ZERO, None);
        let Links { asked, needs, beginning } = links;
        Self {
            upstream,
            told,
            asked,
            needs,
            beginning,
            request,
            poll_interval,
            pulse,
            room,
            alone_until,
        }
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
            self.pulse.blocked(self.told.reason());
            writer = self.serve_all(writer, &stop).await?;
            if self.waits_to_begin(&writer) {
                if !self.rest(LONGEST_PAUSE, &stop).await {
                    break;
                }
                continue;
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
                plan => blocking(self.pulse.bench(), writer, plan).await?,
            };
            self.told.applied(&writer, &turn);
            let pause = self.after(&writer, looked, turn, &mut waits);
            if !self.rest(pause, &stop).await {
                break;
            }
        }
        // Closing the file may write.
        Ok(spawn_blocking(move || drop(writer)).await?)
    }

    /// Until something is asked for, at most so long. False: the loop is to end.
    async fn rest(&mut self, pause: Duration, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            request = self.asked.next() => self.request = Some(request),
            () = sleep(pause) => {}
        }
        true
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
                if writer.is_bad() && writer.position.is_none() {
                    self.needs.set(Need::Damaged);
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
                self.needs.set(Need::Nothing);
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
                self.needs.set(Need::Nothing);
                self.told.following();
                self.told.nothing_new();
                self.told.caught_up(writer);
                waits.poll()
            }
            Ok(Next::Stop(stop)) => self.stopped(writer, &stop, waits),
        }
    }

    fn stopped(&self, writer: &Writer, stop: &Stop, waits: &mut Waits) -> Duration {
        if let Stop::Hole { from, .. } = stop
            && !waits.suspicion.confirm(*from, Instant::now())
        {
            return waits.poll().min(Duration::from_secs(1));
        }
        self.needs.set(Need::from(stop));
        self.told.serves(writer);
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

async fn blocking(
    bench: Bench,
    mut writer: Writer,
    plan: Option<Plan>,
) -> Result<(Writer, Turn), JoinError> {
    let apply = move || {
        let _work = bench.work("applying entries");
        let turn = turn(&mut writer, plan.as_ref());
        (writer, turn)
    };
    spawn_blocking(apply).await
}

#[cfg(test)]
mod tests;
