//! The leader's pruning: once a day, fenced by the epoch of its reign.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daemon::log::Chain;
use ledger::{Mark, Seq};
use tokio_util::sync::CancellationToken;

use crate::args::Prune;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::prune::{PruneError, Pruning};

/// The first time comes so soon, for an operator may be replaced every day.
const FIRST: Duration = Duration::from_secs(600);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(3600);

/// Who knows where the nodes are.
#[async_trait]
pub(crate) trait Nodes: Send + Sync {
    /// Where those stand that reported within a day.
    async fn reported(&self) -> Result<Vec<Mark>, Box<dyn std::error::Error + Send + Sync>>;
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database did not do its part")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Prune(#[from] PruneError),
}

/// Prunes every day until `stop`. Where nobody knows of nodes, and of the nodes of other clusters that share this ctldb, none
/// reported: those that are behind begin anew from a snapshot.
pub(crate) async fn run(
    context: &Context,
    prune: &Prune,
    nodes: Option<Arc<dyn Nodes>>,
    stop: &CancellationToken,
) {
    let store = store::open(&prune.snapshots);
    let rounds = async {
        let mut pause = FIRST.min(prune.every);
        loop {
            // Not at the same time as the operators of other clusters that share this ctldb.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.9..1.1))).await;
            let nodes = match &nodes {
                Some(nodes) => nodes.reported().await.map_err(PruneError::Nodes),
                None => Ok(Vec::new()),
            };
            let pruned = async {
                let snapshots = Some(Arc::clone(&store));
                let pruning = Pruning { keep: prune.keep, snapshots, nodes: Some(nodes?) };
                once(context, &pruning).await
            };
            let pruned = pruned.await;
            context.metrics.pruned(pruned.as_ref().ok().copied());
            pause = match pruned {
                Ok(_) => prune.every,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the ledger is not pruned, it is tried again");
                    AGAIN.min(prune.every)
                }
            };
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = rounds => {}
    }
}

/// Returns where the ledger begins then.
async fn once(context: &Context, pruning: &Pruning) -> Result<Seq, Error> {
    let look = async |ctldb: ctldb::CtlDb, _| Ok(pruning.plan(&ctldb).await);
    let plan = context.database.ask("look at what may be pruned", look).await??;
    let bound = plan.verdict.bounds.first();
    let (limit, because) = bound.map_or(("", ""), |bound| (bound.limit.as_str(), &bound.because));
    let through = plan.verdict.through;
    let remove = async |ctldb: ctldb::CtlDb, fence| ctldb.prune(through, &plan.meta, fence).await;
    let pruned = context.database.ask("prune the ledger", remove).await?;
    let longest_ms = u64::try_from(pruned.longest.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        entries = pruned.entries, through = %pruned.through, limit, because, longest_ms,
        "the ledger was pruned"
    );
    Ok(pruned.through)
}
