//! One turn of the loop, where blocking is allowed: decide and apply.

use ledger::{Position, Seq};

use crate::ldb::{Error, Outcome, Writer};
use crate::replay::decide::decide;
use crate::replay::plan::{Action, Plan, Step, Then};
use crate::replay::stop::{Poison, Stop};
use crate::source::Fetched;

/// What a turn did.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) applied: u64,
    pub(crate) skipped: u64,
    /// An error is the LDB's.
    pub(crate) next: Result<Next, Error>,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The ledger has more.
    More,
    /// The ledger has more of a transaction, of which nothing is committed yet.
    Within,
    /// That was all.
    Idle,
    /// It cannot go on.
    Stop(Stop),
}

/// Applies what was fetched. Without a look at the ledger, an open frame is undone: its end may be long in coming.
pub(crate) fn turn(writer: &mut Writer, fetched: Option<&Fetched>) -> Turn {
    let Some(fetched) = fetched else {
        let next = writer.roll_back_open().map(|()| Next::Idle);
        writer.tidy();
        return Turn { applied: 0, skipped: 0, next: healed(writer, next) };
    };
    let plan = decide(writer.standing(), fetched);
    let (before, waiting) = (writer.position, writer.waiting());
    let next = apply(writer, &plan);
    let next = healed(writer, next);
    writer.tidy();
    let up_to = |reached: Option<Position>| {
        let reached = reached.map_or(Seq::ZERO, |position| position.seq);
        plan.steps.iter().take_while(|step| step.position.seq <= reached).count()
    };
    // What waits for the end of its transaction counts when that comes.
    let applied = if writer.position == before { 0 } else { waiting + up_to(writer.position) };
    let skip = |step: &&Step| match &step.action {
        Action::Skip(reason) => {
            tracing::warn!(seq = %step.position.seq, reason, "a ledger entry is skipped");
            true
        }
        Action::Begin | Action::Commit | Action::Run(_) => false,
    };
    let passed = up_to(writer.standing().position);
    let skipped = plan.steps.iter().take(passed).filter(skip).count();
    Turn { applied: count(applied), skipped: count(skipped), next }
}

fn apply(writer: &mut Writer, plan: &Plan) -> Result<Next, Error> {
    let (more, before) = (plan.then == Then::More, writer.position);
    if let Outcome::Poison { step, why } = writer.apply(&plan.steps, more)? {
        let seq = plan.steps[step].position.seq;
        return Ok(Next::Stop(Stop::Poison(Poison { seq, why })));
    }
    match &plan.then {
        // No success yet: the end of the transaction may be what cannot be applied, again and again.
        Then::More if writer.standing().in_frame && writer.position == before => Ok(Next::Within),
        Then::More => Ok(Next::More),
        Then::Idle => Ok(Next::Idle),
        Then::Stop(stop) => Ok(Next::Stop(stop.clone())),
    }
}

/// After a failure of SQLite the writer begins anew on the same file; whether that works shows at the next turn.
fn healed(writer: &mut Writer, next: Result<Next, Error>) -> Result<Next, Error> {
    if next.is_err()
        && let Err(error) = writer.heal()
    {
        tracing::debug!(%error, "the LDB cannot be opened anew yet");
    }
    next
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
