//! What every reconcile is given, beside the name of its object.

use std::sync::Arc;

use ctldb::OwnerId;

use crate::budget::Budget;
use crate::cache::Cache;
use crate::database::Database;
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::requeue::Requeue;

/// The parts that reconciles share.
pub(crate) struct Context {
    /// The name of our cluster, the first part of who owns a table.
    pub(crate) cluster: String,
    /// May tables be dropped?
    pub(crate) allow_drop: bool,
    pub(crate) cache: Cache,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) database: Database,
    pub(crate) budget: Budget,
    pub(crate) requeue: Requeue,
    pub(crate) metrics: Metrics,
}

impl Context {
    /// A table's object as an owner.
    pub(crate) fn owner(&self, namespace: &str, name: &str) -> OwnerId {
        OwnerId::Object {
            cluster: self.cluster.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}
