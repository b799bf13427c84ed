//! The leader's chores: win the epoch as soon as the database answers, finish what others left unfinished, measure the
//! tables, and strike owners and take back limits whose objects are gone.
//!
//! A table under the policy `Retain` has no finalizer, so that a namespace can go while the operator is away. Nobody says
//! goodbye for it then; the sweep does, later.

use std::collections::HashMap;
use std::time::Duration;

use crds::condition::{ConditionType, Reason, find};
use crds::{CtlFamily, CtlTable};
use ctldb::{OwnerId, SizeLimit, TableRecord, WriterLimit};
use daemon::log::Chain;
use futures::FutureExt;
use kube::Resource;
use ledger::LdbTable;
use tokio_util::sync::CancellationToken;

use crate::cache::NotListed;
use crate::context::Context;
use crate::ctltable::accept::sql_name;
use crate::database::DatabaseError;
use crate::objects::{Kind, ObjectsError};
use crate::sizes::Fullness;
use crate::wake::Wakes;

/// Why a chore was not done this time.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database did not do its part")]
    Database(#[from] DatabaseError),
    #[error("cannot find out whether an owner's object is there")]
    Objects(#[from] ObjectsError),
}

/// Does the chores every `pause`, until `stop`.
pub(crate) async fn run(
    context: &Context,
    wakes: &Wakes,
    pause: Duration,
    stop: &CancellationToken,
) -> Result<(), NotListed> {
    let rounds = async {
        // An object that was not listed yet is not gone.
        if !context.cache.ready(stop).await? {
            return Ok(());
        }
        loop {
            round(context, wakes).await;
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = rounds => ended,
    }
}

/// Each chore by itself: that one cannot be done keeps nobody from the others, unless it is the database that is away.
async fn round(context: &Context, wakes: &Wakes) {
    context.requeue.keep(|object| context.cache.has(object));
    let chores = [
        ("finish schema changes", finish(context).boxed()),
        ("measure the tables", measure(context, wakes).boxed()),
        ("take back limits", take_back(context, wakes).boxed()),
        ("strike owners", sweep(context).boxed()),
    ];
    for (chore, work) in chores {
        if let Err(error) = work.await {
            tracing::warn!(error = %Chain(&error), chore, "a chore is not done, it is tried again");
            if context.database.breaker().check().is_err() {
                return;
            }
        }
    }
}

async fn finish(context: &Context) -> Result<(), Error> {
    let finish = context
        .database
        .ask("finish schema changes", async |ctldb, fence| ctldb.finish_intents(fence).await);
    for table in finish.await? {
        tracing::info!(%table, "finished a schema change that somebody had begun");
    }
    Ok(())
}

/// Measures the tables, for executives and statuses; wakes those whose status says something else.
async fn measure(context: &Context, wakes: &Wakes) -> Result<(), Error> {
    let measure = context
        .database
        .ask("measure the tables", async |ctldb, fence| ctldb.measure_table_sizes(fence).await);
    let sizes = measure.await?;
    let limits: HashMap<_, _> = sizes.iter().map(|size| (size.table.clone(), size.limit)).collect();
    context.sizes.replace(sizes);
    let warned = |(table, limit): (&LdbTable, &Option<SizeLimit>)| {
        (table.clone(), context.sizes.of(table, *limit).reason().is_some())
    };
    context.metrics.sizes(limits.iter().map(warned));
    let outdated = |table: &CtlTable| {
        let family = context.cache.family(&table.spec.family_ref.name);
        let Some(name) = family.and_then(|family| sql_name(table, &family)) else { return false };
        let limit = limits.get(&name).copied().flatten();
        let reason = match context.sizes.of(&name, limit) {
            Fullness::Unknown => return false,
            known => known.reason().map(|reason| reason.to_string()),
        };
        let conditions = table.status.as_ref().map(|status| status.conditions.as_slice());
        let said = find(conditions.unwrap_or_default(), ConditionType::SizeWarning);
        said.map(|said| &said.reason) != reason.as_ref()
    };
    wakes.tables(&context.cache.tables.state_filter(outdated)).await;
    Ok(())
}

/// Takes back limits of writers whose families are gone, and wakes the families that wait for a limit to be free.
async fn take_back(context: &Context, wakes: &Wakes) -> Result<(), Error> {
    let read = context
        .database
        .ask("read the limits of writers", async |ctldb, _| ctldb.writer_limits().await);
    for WriterLimit { writer, limit: _, set_by } in read.await? {
        let OwnerId::Family { cluster, name } = &set_by else { continue };
        // What is there looks after its limits itself.
        if *cluster != context.cluster
            || context.cache.family(name).is_some()
            || context.objects.exists(Kind::Family, None, name).await?
        {
            continue;
        }
        let take = context.database.ask("take back the limit of a writer", async |ctldb, fence| {
            ctldb.set_writer_limit(&writer, None, &set_by, fence).await
        });
        take.await?;
        tracing::info!(%writer, family = name, "a limit goes, for the family that set it is gone");
    }
    let waits = |family: &CtlFamily| {
        let conditions = family.status.as_ref().map(|status| status.conditions.as_slice());
        let said = find(conditions.unwrap_or_default(), ConditionType::Programmed);
        said.is_some_and(|said| said.reason == Reason::OwnerConflict.to_string())
    };
    wakes.families(&context.cache.families.state_filter(waits)).await;
    Ok(())
}

/// Strikes our cluster's owners whose objects are gone or want another table.
async fn sweep(context: &Context) -> Result<(), Error> {
    let read = context.database.ask("read the tables", async |ctldb, _| ctldb.tables(None).await);
    for TableRecord { schema, owners, schema_seq: _, intent: _ } in read.await? {
        for owner in owners {
            if !is_stale(&owner.id, schema.table(), context).await? {
                continue;
            }
            let table = schema.table();
            let release = context.database.ask("strike an owner", async |ctldb, fence| {
                ctldb.release(table, &owner.id, fence).await
            });
            release.await?;
            tracing::info!(%table, owner = ?owner.id, "an owner's object is gone, the table stays");
        }
    }
    Ok(())
}

async fn is_stale(
    owner: &OwnerId,
    table: &LdbTable,
    context: &Context,
) -> Result<bool, ObjectsError> {
    let (namespace, name) = match owner {
        OwnerId::Object { cluster, namespace, name } if *cluster == context.cluster => {
            (namespace, name)
        }
        OwnerId::Object { .. } | OwnerId::Family { .. } | OwnerId::Executive => return Ok(false),
    };
    let Some(object) = context.cache.table(namespace, name) else {
        // The cache may lag behind, and it lacks what it could not decode.
        return Ok(!context.objects.exists(Kind::Table, Some(namespace), name).await?);
    };
    let Some(family) = context.cache.family(&object.spec.family_ref.name) else {
        return Ok(false);
    };
    // It was deleted, and one of the same name that means another table took its place.
    let now = sql_name(&object, &family);
    Ok(object.meta().deletion_timestamp.is_none() && now.is_some_and(|now| now != *table))
}
