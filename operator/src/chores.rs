//! The leader's chores: win the epoch as soon as the database answers, finish what others left unfinished, measure the
//! tables, and strike owners whose objects are gone.
//!
//! A table under the policy `Retain` has no finalizer, so that a namespace can go while the operator is away. Nobody says
//! goodbye for it then; the sweep does, later.

use std::collections::HashMap;
use std::time::Duration;

use crds::CtlTable;
use crds::condition::{ConditionType, find};
use ctldb::{OwnerId, TableRecord};
use daemon::log::Chain;
use kube::Resource;
use ledger::LdbTable;
use tokio_util::sync::CancellationToken;

use crate::cache::NotListed;
use crate::context::Context;
use crate::ctltable::accept::sql_name;
use crate::database::DatabaseError;
use crate::objects::ObjectsError;
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
            if let Err(error) = round(context, wakes).await {
                tracing::warn!(error = %Chain(&error), "the chores are not done, they are tried again");
            }
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = rounds => ended,
    }
}

async fn round(context: &Context, wakes: &Wakes) -> Result<(), Error> {
    context.requeue.keep(|object| context.cache.has(object));
    let finish = context
        .database
        .ask("finish schema changes", async |ctldb, fence| ctldb.finish_intents(fence).await);
    for table in finish.await? {
        tracing::info!(%table, "finished a schema change that somebody had begun");
    }
    measure(context, wakes).await?;
    sweep(context).await
}

/// Measures the tables, for executives and statuses; wakes those whose status says something else.
async fn measure(context: &Context, wakes: &Wakes) -> Result<(), Error> {
    let measure = context
        .database
        .ask("measure the tables", async |ctldb, fence| ctldb.measure_table_sizes(fence).await);
    let sizes = measure.await?;
    let limits: HashMap<_, _> = sizes.iter().map(|size| (size.table.clone(), size.limit)).collect();
    context.sizes.replace(sizes);
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
        OwnerId::Object { .. } | OwnerId::Executive => return Ok(false),
    };
    let Some(object) = context.cache.table(namespace, name) else {
        // The cache may lag behind, and it lacks what it could not decode.
        return Ok(!context.objects.table_exists(namespace, name).await?);
    };
    let Some(family) = context.cache.family(&object.spec.family_ref.name) else {
        return Ok(false);
    };
    // It was deleted, and one of the same name that means another table took its place.
    let now = sql_name(&object, &family);
    Ok(object.meta().deletion_timestamp.is_none() && now.is_some_and(|now| now != *table))
}
