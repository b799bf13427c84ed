//! One turn of the loop, where blocking is allowed: apply what was decided.

use std::time::{Duration, Instant};

use ledger::{Position, Seq};

use crate::ldb::{Ahead, Error, Outcome, Writer};
use crate::replay::plan::{Action, Plan, Step, Then};
use crate::replay::stop::{Poison, Stop};

/// What a turn did.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) applied: u64,
    pub(crate) skipped: u64,
    /// Entries that are no heartbeats, and the last of them. Some may be undone again.
    pub(crate) changes: u64,
    pub(crate) last_change: Option<Seq>,
    /// What the writer took for it, commits included.
    pub(crate) took: Duration,
    /// An error is the LDB's.
    pub(crate) next: Result<Next, Error>,
}

impl Turn {
    /// Nothing to do, and more to come.
    pub(crate) fn nothing() -> Self {
        let (took, next) = (Duration::ZERO, Ok(Next::More));
        Self { applied: 0, skipped: 0, changes: 0, last_change: None, took, next }
    }
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The ledger has more.
    More,
    /// The ledger has more of a transaction, of which nothing is committed yet.
    Within,
    /// What was in hand was dropped: look again, and have nothing in hand up to here.
    Again(Seq),
    /// That was all.
    Idle,
    /// It cannot go on.
    Stop(Stop),
}

/// Applies what was decided. Without a look at the ledger, what is open is undone: its end may be long in coming.
pub(crate) fn turn(writer: &mut Writer, plan: Option<&Plan>) -> Turn {
    let turn = match plan {
        Some(plan) => {
            let ahead = if plan.then == Then::More { Ahead::More } else { Ahead::Nothing };
            let turn = apply(writer, plan, ahead);
            if matches!(turn.next, Ok(Next::Idle)) {
                writer.note_end_of_ledger();
            }
            turn
        }
        None => {
            let next = writer.roll_back_open().map(|()| Next::Idle);
            Turn { next: healed(writer, next), ..Turn::nothing() }
        }
    };
    writer.tidy();
    turn
}

/// Applies a plan, of which `ahead` says what comes after it.
pub(crate) fn apply(writer: &mut Writer, plan: &Plan, ahead: Ahead) -> Turn {
    writer.feed_ahead(plan.head);
    let started = Instant::now();
    let (next, applied) = counted(writer, &plan.steps, |writer| next(writer, plan, ahead));
    let took = started.elapsed();
    let passed = up_to(&plan.steps, writer.standing().position);
    let skip = |step: &&Step| match &step.action {
        Action::Skip(reason) => {
            tracing::warn!(seq = %step.position.seq, reason, "a ledger entry is skipped");
            true
        }
        Action::Begin | Action::Commit | Action::Run(_) => false,
    };
    let skipped = count(plan.steps.iter().take(passed).filter(skip).count());
    let changed = || plan.steps.iter().take(passed).filter(|step| step.is_change());
    let last_change = changed().next_back().map(|step| step.position.seq);
    Turn { applied, skipped, changes: count(changed().count()), last_change, took, next }
}

/// Ends a run of plans that were applied with more in hand, when no more comes.
pub(crate) fn settle(writer: &mut Writer) -> Turn {
    let stood = writer.standing().position.map_or(Seq::ZERO, |position| position.seq);
    let settled = |writer: &mut Writer| {
        writer.settle().map(|whole| if whole { Next::More } else { Next::Again(stood) })
    };
    let started = Instant::now();
    let (next, applied) = counted(writer, &[], settled);
    Turn { applied, took: started.elapsed(), next, ..Turn::nothing() }
}

/// Does something that may commit; how many entries were committed. What waits for the end of its transaction counts when
/// that comes.
pub(crate) fn counted<T>(
    writer: &mut Writer,
    steps: &[Step],
    run: impl FnOnce(&mut Writer) -> Result<T, Error>,
) -> (Result<T, Error>, u64) {
    let (before, waiting) = (writer.position, writer.waiting());
    let result = run(writer);
    let result = healed(writer, result);
    let applied =
        if writer.position == before { 0 } else { waiting + up_to(steps, writer.position) };
    (result, count(applied))
}

fn next(writer: &mut Writer, plan: &Plan, ahead: Ahead) -> Result<Next, Error> {
    let before = writer.position;
    match writer.apply(&plan.steps, ahead)? {
        Outcome::Done => {}
        Outcome::Poison { step, why } => {
            let seq = plan.steps[step].position.seq;
            return Ok(Next::Stop(Stop::Poison(Poison { seq, why })));
        }
        Outcome::Undone { step } => {
            let seq = plan.steps.get(step).map_or(Seq::ZERO, |step| step.position.seq);
            return Ok(Next::Again(seq));
        }
    }
    match &plan.then {
        // No success yet: the end of the transaction may be what cannot be applied, again and again.
        Then::More if writer.standing().in_frame && writer.position == before => Ok(Next::Within),
        Then::More => Ok(Next::More),
        Then::Idle => Ok(Next::Idle),
        Then::Stop(stop) => Ok(Next::Stop(stop.clone())),
    }
}

fn up_to(steps: &[Step], reached: Option<Position>) -> usize {
    let reached = reached.map_or(Seq::ZERO, |position| position.seq);
    steps.iter().take_while(|step| step.position.seq <= reached).count()
}

/// After a failure of SQLite the writer begins anew on the same file; whether that works shows at the next turn.
fn healed<T>(writer: &mut Writer, result: Result<T, Error>) -> Result<T, Error> {
    if result.is_err()
        && let Err(error) = writer.heal()
    {
        tracing::debug!(%error, "the LDB cannot be opened anew yet");
    }
    result
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
