//! How a node begins: with the LDB that it has, with a snapshot, with nothing, or not yet. And how it begins anew, when its LDB
//! is of another ledger, too old, damaged, or stuck: what it has is served until it has something better.
//!
//! `gather` looks at what there is, `decide` decides (pure), `load` gets a snapshot and hands it to the LDB's writer, `told`
//! says how it stands, `share` keeps nodes from doing it all at once. The task here puts them together: it is asked by the
//! replay loop, which says what it needs, or by a person.

pub mod decide;
mod gather;
mod load;
mod original;
pub(crate) mod ready;
pub(crate) mod share;
pub(crate) mod told;

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use daemon::backoff::Backoff;
use daemon::log::Chain;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub(crate) use load::Snapshots;

use crate::bootstrap::decide::{Own, Start, Why, decide};
use crate::bootstrap::gather::Gathered;
use crate::bootstrap::load::Loaded;
use crate::bootstrap::share::{Reason, Share, Turn};
use crate::bootstrap::told::{Phase, Teller};
use crate::replay::{Need, Origin, RequestError, Requests};
use crate::snapshot::SnapshotError;
use crate::source::SourceError;
use store::Stat;

/// Between attempts, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A node that was well for so long is not in a circle.
const CALM: Duration = Duration::from_secs(60);

/// Somebody asks for another LDB: what became of it, in words.
pub(crate) type Demand = oneshot::Sender<Result<String, String>>;

/// The task.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    requests: Requests,
    needs: watch::Receiver<Need>,
    demands: mpsc::Receiver<Demand>,
    snapshots: Snapshots,
    share: Arc<dyn Share>,
    told: Teller,
    demand: Option<Demand>,
    /// The original's snapshot that was no good copy, and why: it is not loaded again.
    refused: Option<(Stat, String)>,
    last_success: Option<Instant>,
}

/// What became of an attempt.
#[derive(Debug)]
enum Ended {
    /// There is nothing to do.
    Kept,
    /// The ledger is replayed from its beginning.
    Begun,
    /// A snapshot took the place of what was there, or is about to.
    From(Loaded),
    /// It is not this node's turn.
    NotYet(Duration),
}

/// Why an attempt came to nothing.
#[derive(Debug, thiserror::Error)]
enum BootstrapError {
    #[error("{why}{detail}")]
    Wait { why: Why, detail: String },
    #[error(
        "ctldb cannot be asked, and without it nobody knows whether a snapshot is as good as what is served{detail}"
    )]
    NobodyKnows { detail: String },
    #[error("no snapshot could be loaded")]
    Snapshot(#[from] SnapshotError),
    #[error("no snapshot could be taken into use")]
    Request(#[from] RequestError),
    #[error("cannot make room for a snapshot")]
    Draft { source: crate::ldb::Error },
    #[error("cannot move a snapshot to its place")]
    Move { source: std::io::Error },
    #[error("the original's snapshot {place} is not used")]
    Original { place: String, source: SnapshotError },
    #[error("the original's snapshot says a number only, and what is at it cannot be asked")]
    NobodyVouches { source: SourceError },
}

impl BootstrapError {
    /// Is it the original's snapshot that is bad?
    fn is_bad_copy(&self) -> bool {
        matches!(self, Self::Original { source, .. } if source.is_bad_copy())
    }
}

/// Who tells the task what is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) needs: watch::Receiver<Need>,
    pub(crate) demands: mpsc::Receiver<Demand>,
}

impl Bootstrap {
    pub(crate) fn new(
        requests: Requests,
        wanted: Wanted,
        snapshots: Snapshots,
        share: Arc<dyn Share>,
        told: Teller,
    ) -> Self {
        let Wanted { needs, demands } = wanted;
        let (demand, refused, last_success) = (None, None, None);
        Self { requests, needs, demands, snapshots, share, told, demand, refused, last_success }
    }

    /// Runs until `stop`. All that it does can be left at any point.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.serve() => {}
        }
        Ok(())
    }

    async fn serve(&mut self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        sleep(self.snapshots.spread()).await;
        loop {
            let need = *self.needs.borrow_and_update();
            let waits = self.demand.is_none();
            if waits && need == Need::Unknown {
                self.woken(None).await;
                continue;
            }
            if waits && need == Need::Nothing {
                self.told.rests();
                self.snapshots.forget();
                self.woken(None).await;
                continue;
            }
            match self.last_success {
                // What was loaded needs help again: not in a circle without a pause.
                Some(at) if waits && at.elapsed() < CALM => self.woken(Some(backoff.next())).await,
                _ => backoff.reset(),
            }
            while let Some(pause) = self.attempted(&mut backoff).await {
                self.woken(Some(pause)).await;
            }
        }
    }

    /// Waits until somebody demands it, the need is another, or so much time has passed.
    async fn woken(&mut self, pause: Option<Duration>) {
        let passed = async {
            match pause {
                Some(pause) => sleep(pause).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(demand) = self.demands.recv(), if self.demand.is_none() => self.demand = Some(demand),
            Ok(()) = self.needs.changed() => {}
            () = passed => {}
        }
    }

    /// Tries once, tells what became of it; how long to wait if that was nothing.
    async fn attempted(&mut self, backoff: &mut Backoff) -> Option<Duration> {
        let (need, demand) = (*self.needs.borrow_and_update(), self.demand.take());
        if matches!(need, Need::Unknown | Need::Nothing) && demand.is_none() {
            return None;
        }
        if demand.is_none() && self.snapshots.are_none() {
            let text = "there are no snapshots to begin with: give the agent --snapshot-url";
            self.told.phase(Phase::Waiting, text.to_owned());
            return Some(Duration::from_secs(3600));
        }
        let (answer, pause) = match self.attempt(need, demand.is_some()).await {
            Ok(Ended::NotYet(again)) => {
                self.told.phase(Phase::Queued, "other nodes load theirs first".to_owned());
                return Some(again);
            }
            Ok(Ended::Kept) => (Ok("the LDB is sound and stays".to_owned()), Some(backoff.next())),
            Ok(Ended::Begun) => {
                let text = "the ledger is replayed from its beginning";
                self.told.phase(Phase::Replaying, text.to_owned());
                (Ok(text.to_owned()), None)
            }
            Ok(Ended::From(loaded)) => {
                self.last_success = Some(Instant::now());
                (Ok(self.told.done(&loaded)), None)
            }
            Err(error) => {
                let text = Chain(&error).to_string();
                let phase = match error {
                    BootstrapError::Wait { .. } => Phase::Waiting,
                    _ => Phase::Failed,
                };
                self.told.phase(phase, text.clone());
                (Err(text), Some(backoff.next().max(FIRST_PAUSE / 4)))
            }
        };
        self.share.done().await;
        if let Some(demand) = demand {
            drop(demand.send(answer));
        }
        pause
    }

    async fn attempt(&mut self, need: Need, demanded: bool) -> Result<Ended, BootstrapError> {
        self.told.phase(Phase::Looking, String::new());
        let gathered = self.gather(need, demanded).await?;
        let start = decide(&gathered.seen);
        if demanded && gathered.seen.ledger.is_none() && matches!(gathered.own, Own::At(_)) {
            return Err(BootstrapError::NobodyKnows { detail: gathered.detail });
        }
        let Start::Download(positions) = start else { return self.act(start, gathered).await };
        if !demanded && let Some(again) = self.must_wait(need).await {
            return Ok(Ended::NotYet(again));
        }
        match self.download(&gathered, &positions).await {
            Err(BootstrapError::Snapshot(error)) if error.is_none_usable() => {
                self.without_snapshots(gathered, error).await
            }
            outcome => outcome.map(Ended::From),
        }
    }

    /// Without those that were refused: what is whole in the ledger needs no snapshot.
    async fn without_snapshots(
        &mut self,
        mut gathered: Gathered,
        error: SnapshotError,
    ) -> Result<Ended, BootstrapError> {
        gathered.seen.snapshots = decide::Snapshots::Known(Vec::new());
        gathered.detail = format!(" ({})", Chain(&error));
        let start = decide(&gathered.seen);
        self.act(start, gathered).await
    }

    async fn act(&mut self, start: Start, gathered: Gathered) -> Result<Ended, BootstrapError> {
        let is_whole = start == Start::Empty;
        if (is_whole || matches!(start, Start::Wait(Why::Gap { .. })))
            && gathered.own == Own::Empty
            && let Some(original) = self.snapshots.original.clone()
        {
            match self.load_original(&original, &gathered).await {
                Err(error) if is_whole && error.is_bad_copy() => {
                    tracing::warn!(error = %Chain(&error), "the ledger is replayed from its beginning instead");
                }
                outcome => return outcome.map(Ended::From),
            }
        }
        if gathered.seen.own != Own::Empty && start == Start::Empty {
            self.requests.rebuild(Origin::Nothing).await?;
        }
        match start {
            Start::Keep => Ok(Ended::Kept),
            Start::Empty => {
                self.snapshots.forget();
                self.requests.begin().await?;
                Ok(Ended::Begun)
            }
            Start::Wait(why) => Err(BootstrapError::Wait { why, detail: gathered.detail }),
            Start::Download(_) => Err(SnapshotError::None.into()),
        }
    }

    /// A node that serves waits for its turn: it is not alone with its trouble.
    async fn must_wait(&self, need: Need) -> Option<Duration> {
        let reason = match need {
            Need::Unknown | Need::Nothing | Need::Begin => return None,
            Need::Damaged => Reason::Damaged,
            Need::Forked => Reason::Forked,
            Need::Gap => Reason::Gap,
            Need::Stuck(_) => Reason::Stuck,
        };
        match self.share.may_rebuild(reason).await {
            Turn::Yes => None,
            Turn::No { again } => Some(again),
        }
    }
}
