//! Catching up: looks at the ledger go on while what they brought is applied.
//!
//! Each look begins at the last entry of the one before, and by the same rules: that entry must be there and be the same,
//! and head, low water, history, skips and hold come from the look's own read transaction. What contradicts the looks
//! before (another ledger, an end or a hold below what is in hand) is not believed on their ground: what is in hand and
//! not committed is dropped, and the loop looks again from where the LDB stands, with nothing in hand. So is what
//! SQLite refuses when it would undo more than its own unit.

use std::time::{Duration, Instant};

use ledger::Seq;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use crate::ldb::{Ahead, Writer};
use crate::replay::plan::{Plan, Standing, Then};
use crate::replay::room::Taken;
use crate::replay::stop::Stop;
use crate::replay::told::Told;
use crate::replay::turn::{Next, Turn, counted, settle};
use crate::replay::{Replay, ReplayError, planned, turn};
use crate::source::Limit;

/// Plans in hand; their size is bounded by the room. Few, so that what is read is applied while caches have it, and its
/// memory serves the next look.
const QUEUE: usize = 3;
/// A look larger than the one before fetches more at a time; the first ones are small, so that applying begins soon.
const LARGEST: Limit = Limit { entries: 2000, bytes: 4 << 20 };
/// When the next plan is late, readers get what is there.
const LATE: Duration = Duration::from_millis(100);

/// A plan, and the room that it takes.
pub(crate) struct Batch {
    pub(crate) plan: Plan,
    pub(crate) taken: Taken,
}

impl Replay {
    /// Applies this plan, which is not the last, and all that come after it while there are more.
    pub(crate) async fn catch_up(
        &mut self,
        mut writer: Writer,
        first: Batch,
        stop: &CancellationToken,
    ) -> Result<(Writer, Turn), ReplayError> {
        let (send, receive) = channel(QUEUE);
        let dropped = CancellationToken::new();
        let standing = writer.standing();
        let (told, drop_rest) = (self.told.clone(), dropped.clone());
        let bench = self.pulse.bench();
        let apply = move || {
            let _work = bench.work("applying entries");
            let turn = apply(&mut writer, receive, &drop_rest, &told);
            (writer, turn)
        };
        let applying = tokio::task::spawn_blocking(apply);
        tokio::select! {
            biased;
            () = stop.cancelled() => dropped.cancel(),
            result = self.look_ahead(standing, first, send, &dropped) => result?,
        }
        Ok(applying.await?)
    }

    /// Looks until there is no more, or nobody applies any more.
    async fn look_ahead(
        &mut self,
        standing: Standing,
        first: Batch,
        send: Sender<Batch>,
        dropped: &CancellationToken,
    ) -> Result<(), ReplayError> {
        let mut cursor = first.plan.end(standing);
        let mut limit = Limit { entries: count(first.plan.steps.len()), ..LARGEST };
        let mut more = send.send(first).await.is_ok();
        while more {
            self.pulse.beat();
            limit.entries = limit.entries.saturating_mul(2).clamp(1, LARGEST.entries);
            let taken = self.room.for_look(limit.bytes).await;
            let fetched = tokio::select! {
                biased;
                () = send.closed() => break,
                request = self.asked.next() => {
                    self.request = Some(request);
                    break;
                }
                fetched = self.upstream.fetch(cursor.position, limit) => fetched,
            };
            self.told.looked(&fetched);
            let Ok(fetched) = fetched else { break };
            let hold = fetched.hold;
            let plan = planned(cursor, fetched).await?;
            let taken = self.room.filled(taken, plan.bytes()).await;
            if contradicts(cursor, &plan, hold) {
                dropped.cancel();
                break;
            }
            more = plan.then == Then::More && !plan.steps.is_empty();
            cursor = plan.end(cursor);
            more = send.send(Batch { plan, taken }).await.is_ok() && more;
        }
        Ok(())
    }
}

/// Does a look say that what is in hand is not to be applied?
fn contradicts(cursor: Standing, plan: &Plan, hold: Option<Seq>) -> bool {
    let above = cursor.position.is_some_and(|own| hold.is_some_and(|hold| own.seq > hold));
    above || matches!(plan.then, Then::Stop(Stop::Forked { .. } | Stop::Behind { .. }))
}

/// Applies what comes, where blocking is allowed.
fn apply(
    writer: &mut Writer,
    mut batches: Receiver<Batch>,
    dropped: &CancellationToken,
    told: &Told,
) -> Turn {
    while let Some(Batch { plan, taken }) = next(writer, &mut batches, told) {
        if dropped.is_cancelled() {
            break;
        }
        let ahead = if plan.then == Then::More { Ahead::InHand } else { Ahead::Nothing };
        let turn = turn::apply(writer, &plan, ahead);
        drop((plan, taken));
        match turn.next {
            Ok(Next::More | Next::Within) => {
                told.applied(writer, &turn);
                // No success before a commit: what is open may be what cannot be applied, again and again.
                if turn.applied > 0 {
                    told.well(writer);
                }
            }
            Ok(_) | Err(_) => {
                writer.tidy();
                return turn;
            }
        }
    }
    let turn = settle(writer);
    writer.tidy();
    match turn.next {
        Ok(Next::More) if dropped.is_cancelled() => {
            let stands = writer.position.map_or(Seq::ZERO, |position| position.seq);
            Turn { next: Ok(Next::Again(stands.next().unwrap_or(stands))), ..turn }
        }
        Ok(_) | Err(_) => turn,
    }
}

/// The next plan; none when there are no more. Commits what waits while it does not come.
fn next(writer: &mut Writer, batches: &mut Receiver<Batch>, told: &Told) -> Option<Batch> {
    let mut since = None;
    loop {
        match batches.try_recv() {
            Ok(batch) => return Some(batch),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        let late = since.get_or_insert_with(Instant::now).elapsed() >= LATE;
        if late {
            let started = Instant::now();
            let (result, applied) = counted(writer, &[], |writer| writer.settle_after(LATE));
            let took = started.elapsed();
            told.applied(writer, &Turn { applied, took, ..Turn::nothing() });
            if applied > 0 {
                told.well(writer);
            }
            // What fails now fails at the next plan too, and is told then.
            drop(result);
        }
        let handle = Handle::current();
        let wait = async { tokio::time::timeout(LATE, batches.recv()).await };
        if let Ok(received) = handle.block_on(wait) {
            return received;
        }
    }
}

fn count(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}
