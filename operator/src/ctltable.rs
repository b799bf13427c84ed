//! Reconciles one table: gather, accept, plan, apply, report. Takes no input but the object's name, remembers nothing
//! from one run to the next, and doing it twice is doing it once.

pub(crate) mod accept;
mod apply;
mod cleanup;
mod gather;
mod plan;
mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::condition::{ConditionType, Reason, State, find};
use crds::{CONFIRM_CHANGES, CtlTable, DeletionPolicy, FINALIZER};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::budget::{Change, Full, Said};
use crate::context::Context;
use crate::ctltable::accept::{Declared, accept, sql_name};
use crate::ctltable::apply::{Applied, Outcome, author};
use crate::ctltable::report::{Nodes, Told};
use crate::database::DatabaseError;
use crate::objects::{Kind, ObjectId, ObjectsError};
use crate::refusal::Refusal;
use crate::report::publish;
use crate::requeue::{AGAIN, LOCKED};
use crate::sizes::Fullness;
use crate::verdict::Verdict;

/// Which step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot protect the table's object against deletion")]
    Protect(#[source] ObjectsError),
    #[error("cannot see the table in the database")]
    Gather(#[source] DatabaseError),
    #[error("cannot change the table in the database")]
    Apply(#[source] DatabaseError),
    #[error("cannot give up the table in the database")]
    CleanUp(#[source] DatabaseError),
    #[error("cannot let the table's object go")]
    LetGo(#[source] ObjectsError),
    #[error("cannot write the table's status")]
    Report(#[source] ObjectsError),
}

/// Why the table is not as declared at the end of a run.
enum Halt {
    Refused(Refusal),
    LookAgain,
    Failed(Error),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Halt::Refused(refusal)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

/// Looks at the table of this name and makes it as declared.
pub(crate) async fn reconcile(
    name: ObjectRef<CtlTable>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let began = Instant::now();
    let Some(declared) = gather::objects(&name, &context.cache) else {
        return Ok(Action::await_change());
    };
    let object = ObjectId::of(Kind::Table, declared.table.meta());
    if declared.table.meta().deletion_timestamp.is_some() {
        return end(&declared.table, &object, &context, began).await;
    }
    let (verdict, applied, failure) = match program(&declared, &object, &context).await {
        Ok(applied) => (report::done(&applied), Some(applied), None),
        Err(Halt::LookAgain) => return Ok(Action::requeue(AGAIN)),
        Err(Halt::Refused(refusal)) => (Verdict::Refused(refusal), None, None),
        Err(Halt::Failed(error)) => match verdict_of(&error) {
            Some(verdict) => (verdict, None, Some(error)),
            None => return Err(error),
        },
    };
    let table = &declared.table;
    let family = declared.family.as_ref().map(|declared| &declared.family);
    let fullness = applied
        .as_ref()
        .map_or(Fullness::Unknown, |Applied { table, limit, .. }| context.sizes.of(table, *limit));
    let told = Told {
        generation: table.meta().generation,
        sql_name: family.and_then(|family| sql_name(table, family)),
        fullness,
        nodes: nodes(&context),
        schema_seq: applied.as_ref().map(|applied| applied.schema_seq),
        verdict,
    };
    context.metrics.reconciled(Kind::Table, told.verdict.outcome(), began);
    match failure {
        Some(error) if context.is_hiccup(&told.verdict, &object) => Err(error),
        failure => {
            tell(table, &object, &told, &context).await?;
            next(&told.verdict, failure, &object, &context)
        }
    }
}

/// How long after a failure the table is looked at again. Never gives up.
pub(crate) fn error_policy(table: &CtlTable, context: &Context) -> Duration {
    context.requeue.failed(&ObjectId::of(Kind::Table, table.meta()))
}

/// The table as declared: accepted by what objects tell, programmed in the database.
async fn program(
    declared: &Declared,
    object: &ObjectId,
    context: &Context,
) -> Result<Applied, Halt> {
    let table = &declared.table;
    let accepted = accept(declared)?;
    // Before there is anything to lose, not after.
    let protect = table.spec.deletion_policy == DeletionPolicy::Delete;
    if is_protected(table) != protect {
        context.objects.set_protected(object, protect).await.map_err(Error::Protect)?;
    }
    let (database, confirmed) = (&context.database, accepted.confirmed);
    let seen = gather::database(accepted.schema.table(), database).await.map_err(Error::Gather)?;
    let me = context.owner(&table.namespace().unwrap_or_default(), &table.name_any());
    let plan = plan::plan(accepted, &me, &seen)?;
    if plan.grows() {
        let admitted = context.budget.admit(&plan.table, Change::Grow, said(table, confirmed));
        admitted.map_err(|Full { max }| too_many(table, &format!("create or widen {max}")))?;
    }
    let author = author(&context.cluster, table);
    match apply::apply(plan, &author, database).await.map_err(Error::Apply)? {
        Outcome::Applied(applied) => {
            context.metrics.schema_changed(applied.schema_seq);
            Ok(applied)
        }
        Outcome::LookAgain => Err(Halt::LookAgain),
    }
}

/// The table's object is being deleted.
async fn end(
    table: &CtlTable,
    object: &ObjectId,
    context: &Context,
    began: Instant,
) -> Result<Action, Error> {
    if !is_protected(table) {
        return Ok(Action::await_change());
    }
    let (verdict, failure) = match cleanup::clean_up(table, context).await {
        Ok(None) => {
            context.objects.set_protected(object, false).await.map_err(Error::LetGo)?;
            return Ok(Action::await_change());
        }
        Ok(Some(refusal)) => (Verdict::Refused(refusal), None),
        Err(error) if error.is_deposed() => return Err(Error::CleanUp(error)),
        Err(error) => (Verdict::of(&error), Some(Error::CleanUp(error))),
    };
    context.metrics.reconciled(Kind::Table, verdict.outcome(), began);
    let generation = table.meta().generation;
    let told = Told {
        verdict,
        generation,
        sql_name: None,
        schema_seq: None,
        fullness: Fullness::Unknown,
        nodes: nodes(context),
    };
    tell(table, object, &told, context).await?;
    next(&told.verdict, failure, object, context)
}

async fn tell(
    table: &CtlTable,
    object: &ObjectId,
    told: &Told,
    context: &Context,
) -> Result<(), Error> {
    let now = Time(jiff::Timestamp::now());
    let status = |before: &_| report::status(before, told, &now);
    let published = publish(&*context.objects, object, table.status.as_ref(), status);
    published.await.map_err(Error::Report)
}

fn nodes(context: &Context) -> Nodes {
    Nodes { census: context.fleet.census(), share: context.propagated_share }
}

/// When to look again, after the object was told.
fn next(
    verdict: &Verdict,
    failure: Option<Error>,
    object: &ObjectId,
    context: &Context,
) -> Result<Action, Error> {
    match (verdict, failure) {
        (Verdict::Trying { reason: Reason::WaitingForLock, .. }, _) => Ok(Action::requeue(LOCKED)),
        // Its prober wakes everybody.
        (Verdict::Trying { .. }, Some(_)) if context.database.breaker().check().is_err() => {
            Ok(Action::requeue(context.requeue.recheck(object)))
        }
        (Verdict::Trying { .. }, Some(error)) => Err(error),
        (Verdict::Done { .. } | Verdict::Refused(_) | Verdict::Trying { .. }, _) => {
            Ok(Action::requeue(context.requeue.recheck(object)))
        }
    }
}

/// What a failure means for the conditions; none when it is not the database's.
fn verdict_of(error: &Error) -> Option<Verdict> {
    match error {
        // Nothing is said by one who no longer leads.
        Error::Gather(source) | Error::Apply(source) | Error::CleanUp(source) => {
            (!source.is_deposed()).then(|| Verdict::of(source))
        }
        Error::Protect(_) | Error::LetGo(_) | Error::Report(_) => None,
    }
}

/// What the object tells about the brake on changes. That it was held before is in its own status, so that a restart
/// does not let it through.
fn said(table: &CtlTable, confirmed: bool) -> Said {
    let conditions = table.status.as_ref().map(|status| status.conditions.as_slice());
    let stalled = find(conditions.unwrap_or_default(), ConditionType::Stalled);
    let held = stalled.is_some_and(|stalled| {
        stalled.status == State::True.to_string()
            && stalled.reason == Reason::TooManyChanges.to_string()
    });
    match (confirmed, held) {
        (true, _) => Said::Confirmed,
        (false, true) => Said::Held,
        (false, false) => Said::Nothing,
    }
}

fn too_many(table: &CtlTable, what: &str) -> Refusal {
    let message = format!(
        "one pass may {what} tables: look whether this is meant, then confirm with kubectl -n {} annotate ctltable {} {CONFIRM_CHANGES}={} --overwrite",
        table.namespace().unwrap_or_default(),
        table.name_any(),
        table.meta().generation.unwrap_or_default(),
    );
    Refusal::programmed(Reason::TooManyChanges, message)
}

fn is_protected(table: &CtlTable) -> bool {
    table.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}
