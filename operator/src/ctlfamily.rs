//! Reconciles one family: gather, accept, plan, apply, report. A family is small; so is its reconcile.

mod apply;
mod gather;
mod plan;
mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::condition::Reason;
use crds::{CtlFamily, DeletionPolicy, FINALIZER};
use ctldb::FamilyDeleted;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use ledger::FamilyName;

use crate::context::Context;
use crate::ctlfamily::apply::Applied;
pub(crate) use crate::ctlfamily::plan::{Declared, accept};
use crate::ctlfamily::report::Told;
use crate::database::DatabaseError;
use crate::objects::{Kind, ObjectId, ObjectsError};
use crate::refusal::Refusal;
use crate::report::publish;
use crate::verdict::Verdict;

/// Names shown of the tables that hold a family back.
const NAMES_SHOWN: usize = 10;

/// Which step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot protect the family's object against deletion")]
    Protect(#[source] ObjectsError),
    #[error("cannot see the family in the database")]
    Gather(#[source] DatabaseError),
    #[error("cannot make the family as declared in the database")]
    Apply(#[source] DatabaseError),
    #[error("cannot delete the family in the database")]
    CleanUp(#[source] DatabaseError),
    #[error("cannot let the family's object go")]
    LetGo(#[source] ObjectsError),
    #[error("cannot write the family's status")]
    Report(#[source] ObjectsError),
}

enum Halt {
    Refused(Refusal),
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

/// Looks at the family of this name and makes it as declared.
pub(crate) async fn reconcile(
    name: ObjectRef<CtlFamily>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let began = Instant::now();
    let Some(declared) = gather::objects(&name, &context.cache) else {
        return Ok(Action::await_change());
    };
    let family = &declared.family;
    let object = ObjectId::of(Kind::Family, family.meta());
    let result = if family.meta().deletion_timestamp.is_none() {
        program(&declared, &object, &context).await.map(Some)
    } else if is_protected(family) {
        clean_up(family, &object, &context).await.map(|()| None)
    } else {
        return Ok(Action::await_change());
    };
    let (verdict, applied, failure) = match result {
        Ok(None) => return Ok(Action::await_change()),
        Ok(Some(applied)) => {
            let message = format!("family {} is in the database", applied.name);
            (Verdict::Done { message }, Some(applied), None)
        }
        Err(Halt::Refused(refusal)) => (Verdict::Refused(refusal), None, None),
        Err(Halt::Failed(error)) => match verdict_of(&error) {
            Some(verdict) => (verdict, None, Some(error)),
            None => return Err(error),
        },
    };
    context.metrics.reconciled(Kind::Family, verdict.outcome(), began);
    let hiccup = failure.is_some() && context.is_hiccup(&verdict, &object);
    if !hiccup {
        tell(family, &object, (&verdict, applied), &context).await?;
    }
    match failure {
        // The breaker's prober wakes everybody.
        Some(error) if context.database.breaker().check().is_ok() => Err(error),
        Some(_) | None => Ok(Action::requeue(context.requeue.recheck(&object))),
    }
}

/// How long after a failure the family is looked at again. Never gives up.
pub(crate) fn error_policy(family: &CtlFamily, context: &Context) -> Duration {
    context.requeue.failed(&ObjectId::of(Kind::Family, family.meta()))
}

async fn program(
    declared: &Declared,
    object: &ObjectId,
    context: &Context,
) -> Result<Applied, Halt> {
    let accepted = accept(declared)?;
    let protect = declared.family.spec.deletion_policy == DeletionPolicy::Delete;
    if is_protected(&declared.family) != protect {
        context.objects.set_protected(object, protect).await.map_err(Error::Protect)?;
    }
    let seen = gather::database(&accepted.name, &context.database).await.map_err(Error::Gather)?;
    let me = context.family_owner(&declared.family.name_any());
    let plan = plan::plan(accepted, &me, &seen);
    let applied = apply::apply(plan, &me, &context.database).await.map_err(Error::Apply)?;
    plan::refused(&applied.taken)?;
    Ok(applied)
}

/// The object is being deleted and holds our finalizer. Validates nothing; what is gone already is done.
async fn clean_up(family: &CtlFamily, object: &ObjectId, context: &Context) -> Result<(), Halt> {
    let tables = context.cache.tables_of(&family.name_any());
    let names = tables.iter().map(|table| crate::precedence::full_name(table.meta()));
    still_used("CtlTables", names)?;
    // Of two families of one name, the younger owned nothing.
    let rivals = context.cache.family_rivals(family);
    let name = FamilyName::parse(&family.sql_name()).ok().filter(|_| rivals.is_empty());
    if let (Some(name), DeletionPolicy::Delete) = (name, family.spec.deletion_policy) {
        delete(&name, context).await?;
    }
    context.objects.set_protected(object, false).await.map_err(Error::LetGo)?;
    Ok(())
}

async fn delete(name: &FamilyName, context: &Context) -> Result<(), Halt> {
    if !context.allow_drop {
        let message = format!(
            "family {name} would be deleted from the database, and the operator runs without --allow-drop: start it with the flag, or set spec.deletionPolicy to Retain to keep the family"
        );
        return Err(Refusal::programmed(Reason::DestructiveChangeBlocked, message).into());
    }
    let delete = context
        .database
        .ask("delete the family", async |ctldb, fence| ctldb.delete_family(name, fence).await);
    match delete.await.map_err(Error::CleanUp)? {
        FamilyDeleted::Deleted | FamilyDeleted::NotThere => Ok(()),
        FamilyDeleted::TablesRemain(tables) => {
            Ok(still_used("tables in the database", tables.iter().map(ToString::to_string))?)
        }
    }
}

fn still_used(what: &str, names: impl Iterator<Item = String>) -> Result<(), Refusal> {
    let mut names: Vec<_> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    names.sort();
    let count = names.len();
    names.truncate(NAMES_SHOWN);
    let more = if count > NAMES_SHOWN { ", ..." } else { "" };
    let message = format!(
        "{count} {what} still belong to the family, delete them first: {}{more}",
        names.join(", "),
    );
    Err(Refusal::programmed(Reason::TablesRemain, message))
}

async fn tell(
    family: &CtlFamily,
    object: &ObjectId,
    (verdict, applied): (&Verdict, Option<Applied>),
    context: &Context,
) -> Result<(), Error> {
    let told = Told {
        verdict: verdict.clone(),
        generation: family.meta().generation,
        sql_name: applied.map(|applied| applied.name.to_string()),
        tables: context.cache.tables_of(&family.name_any()).len(),
    };
    let now = Time(jiff::Timestamp::now());
    let status = |before: &_| report::status(before, &told, &now);
    let published = publish(&*context.objects, object, family.status.as_ref(), status);
    published.await.map_err(Error::Report)
}

fn verdict_of(error: &Error) -> Option<Verdict> {
    match error {
        // Nothing is said by one who no longer leads.
        Error::Gather(source) | Error::Apply(source) | Error::CleanUp(source) => {
            (!source.is_deposed()).then(|| Verdict::of(source))
        }
        Error::Protect(_) | Error::LetGo(_) | Error::Report(_) => None,
    }
}

fn is_protected(family: &CtlFamily) -> bool {
    family.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}
