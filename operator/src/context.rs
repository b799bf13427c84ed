//! What every reconcile is given, beside the name of its object.

use std::sync::Arc;

use ctldb::{CtlDb, OwnerId};

use crate::args::{Config, Percent};
use crate::budget::Budget;
use crate::cache::Cache;
use crate::database::Database;
use crate::metrics::Metrics;
use crate::objects::{ObjectId, Objects};
use crate::presence::Fleet;
use crate::requeue::Requeue;
use crate::sizes::Sizes;
use crate::verdict::Verdict;

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
    pub(crate) sizes: Sizes,
    /// Where the nodes are.
    pub(crate) fleet: Fleet,
    /// How many of them must have a table.
    pub(crate) propagated_share: Percent,
    pub(crate) metrics: Metrics,
}

impl Context {
    /// Touches no network yet.
    pub(crate) fn new(
        config: &Config,
        cache: Cache,
        objects: Arc<dyn Objects>,
        metrics: Metrics,
    ) -> Result<Self, ctldb::Error> {
        let ctldb = CtlDb::open(config.ctldb.clone())?;
        Ok(Self {
            cluster: config.cluster_name.to_string(),
            allow_drop: config.allow_drop,
            cache,
            objects,
            database: Database::new(ctldb, config.cluster_name, metrics.clone()),
            budget: Budget::new(config.max_changes),
            requeue: Requeue::new(config.recheck),
            sizes: Sizes::new(config.table_size),
            fleet: Fleet::default(),
            propagated_share: config.presence.propagated_share,
            metrics,
        })
    }

    /// Is it a first failure while the database answers others? It is tried again before anybody is told.
    pub(crate) fn is_hiccup(&self, verdict: &Verdict, object: &ObjectId) -> bool {
        verdict.is_vague()
            && self.database.breaker().check().is_ok()
            && !self.requeue.is_failing(object)
    }

    /// A table's object as an owner.
    pub(crate) fn owner(&self, namespace: &str, name: &str) -> OwnerId {
        OwnerId::Object {
            cluster: self.cluster.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A family's object as one who sets limits of writers.
    pub(crate) fn family_owner(&self, name: &str) -> OwnerId {
        OwnerId::Family { cluster: self.cluster.clone(), name: name.to_owned() }
    }
}
