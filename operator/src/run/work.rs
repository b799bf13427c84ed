//! The leader's looks at objects, and what goes on beside them.

use std::sync::Arc;

use daemon::tasks::Tasks;

use crate::args::{Config, Source};
use crate::context::Context;
use crate::prune::Nodes;
use crate::stage::Stage;
use crate::wake::{self, Queues, Wakes};
use crate::watch::names;
use crate::{breaker, chores, heartbeat, prune, reconcilers, secret_file};

/// The looks at objects, and what wakes them.
pub(super) fn spawn_work(
    tasks: &mut Tasks,
    context: Arc<Context>,
    (wakes, queues): (Wakes, Queues),
    stage: &Stage,
) {
    let Queues { tables, families, counts } = queues;
    let names = (names(families, stage.stop.clone()), names(tables, stage.stop.clone()));
    let (work, stop) = (context.clone(), stage.stop.clone());
    tasks.spawn(
        "families",
        stage.clone().run(async move {
            if work.cache.ready(&stop).await? {
                reconcilers::families(work, names.0).await;
            }
            anyhow::Ok(())
        }),
    );
    let (work, stop) = (context.clone(), stage.stop.clone());
    tasks.spawn(
        "tables",
        stage.clone().run(async move {
            if work.cache.ready(&stop).await? {
                reconcilers::tables(work, names.1).await;
            }
            anyhow::Ok(())
        }),
    );
    let (everybody, stop) = (wakes.clone(), stage.stop.clone());
    tasks.spawn(
        "breaker",
        stage.clone().run(async move {
            breaker::guard(&context.database, &everybody, &stop).await;
            anyhow::Ok(())
        }),
    );
    let stop = stage.stop.clone();
    tasks.spawn(
        "counts",
        stage.clone().run(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = wake::count(counts, wakes) => {}
            }
            anyhow::Ok(())
        }),
    );
}

/// What goes on beside the looks.
pub(super) fn spawn_chores(
    tasks: &mut Tasks,
    config: &Config,
    (context, wakes): (&Arc<Context>, &Wakes),
    stage: &Stage,
) {
    let shared = || (Arc::clone(context), stage.stop.clone());
    let ((work, stop), pause, wakes) = (shared(), config.chores, wakes.clone());
    let work = async move { chores::run(&work, &wakes, pause, &stop).await };
    tasks.spawn("chores", stage.clone().run(work));
    if !config.heartbeat.is_zero() {
        let ((work, stop), interval) = (shared(), config.heartbeat);
        let beating = async move {
            heartbeat::run(&work, interval, &stop).await;
            anyhow::Ok(())
        };
        tasks.spawn("heartbeat", stage.clone().run(beating));
    }
    if let Some(settings) = config.prune.clone() {
        let (work, stop) = shared();
        let nodes: Option<Arc<dyn Nodes>> = match config.source {
            Source::Cluster(_) => Some(Arc::new(work.fleet.clone())),
            // Nobody would list its nodes.
            Source::Manifests(_) => None,
        };
        let pruning = async move {
            prune::run(&work, &settings, nodes, &stop).await;
            anyhow::Ok(())
        };
        tasks.spawn("prune", stage.clone().run(pruning));
    }
    let (work, stop) = shared();
    tasks.spawn("epoch", async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => anyhow::Ok(()),
            deposed = work.database.deposed() => Err(deposed.into()),
        }
    });
    if let Some(file) = config.ctldb_url_file.clone() {
        let ((work, stop), url) = (shared(), config.ctldb.clone());
        tasks.spawn("ctldb URL", async move {
            secret_file::follow(&file, url, &work.database, &stop).await;
            anyhow::Ok(())
        });
    }
}
