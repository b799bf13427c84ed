//! The two loops that look at objects whose names come from the queues: several at a time, one at a time for each name.
//!
//! They end with the queue, after what is in hand.

use std::convert::Infallible;
use std::sync::Arc;

use crds::{CtlFamily, CtlTable};
use daemon::log::Chain;
use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::ObjectRef;

use crate::context::Context;
use crate::{ctlfamily, ctltable};

/// Looks at one time. Changes of tables queue for one lock anyway.
const CONCURRENCY: u16 = 8;

/// Looks at families.
pub(crate) async fn families(
    context: Arc<Context>,
    names: impl Stream<Item = Result<ObjectRef<CtlFamily>, Infallible>> + Send,
) {
    let reconcile = |family: Arc<CtlFamily>, context| {
        ctlfamily::reconcile(ObjectRef::from(&*family), context).boxed()
    };
    let policy = |family: Arc<CtlFamily>, error: &ctlfamily::Error, context: Arc<Context>| {
        let name = &family.metadata.name;
        tracing::warn!(error = %Chain(error), name, "a family is not done, it is tried again");
        Action::requeue(ctlfamily::error_policy(&family, &context))
    };
    let store = context.cache.families.clone();
    applier(reconcile, policy, context, store, names, config()).for_each(async |_| {}).await;
}

/// Looks at tables.
pub(crate) async fn tables(
    context: Arc<Context>,
    names: impl Stream<Item = Result<ObjectRef<CtlTable>, Infallible>> + Send,
) {
    let reconcile = |table: Arc<CtlTable>, context| {
        ctltable::reconcile(ObjectRef::from(&*table), context).boxed()
    };
    let policy = |table: Arc<CtlTable>, error: &ctltable::Error, context: Arc<Context>| {
        let (namespace, name) = (&table.metadata.namespace, &table.metadata.name);
        tracing::warn!(error = %Chain(error), namespace, name, "a table is not done, it is tried again");
        Action::requeue(ctltable::error_policy(&table, &context))
    };
    let store = context.cache.tables.clone();
    applier(reconcile, policy, context, store, names, config()).for_each(async |_| {}).await;
}

fn config() -> Config {
    Config::default().concurrency(CONCURRENCY)
}
