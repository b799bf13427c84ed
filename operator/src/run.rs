//! The operator in one screen: its parts, and the tasks that they run in.

mod in_cluster;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ctldb::CtlDb;
use daemon::lease::Leadership;
use daemon::tasks::Tasks;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::args::{Config, Source};
use crate::budget::Budget;
use crate::cache::Cache;
use crate::context::Context;
use crate::database::Database;
use crate::manifests::{self, Desk, Manifests};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::requeue::Requeue;
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::wake::{self, Queues, Wakes};
use crate::watch::names;
use crate::{breaker, chores, heartbeat, reconcilers, secret_file};

/// For the looks that are in hand when the operator is stopped; the Lease is given back after them.
const DRAIN: Duration = Duration::from_secs(20);

/// Where the operator listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// `/livez`, `/readyz` and `/metrics`.
    pub admin_addr: Option<SocketAddr>,
}

/// Runs the operator until `stop`.
///
/// # Errors
/// It cannot start, a task failed, or another operator of this cluster took the lead.
pub async fn run(
    config: Config,
    stop: CancellationToken,
    started: impl FnOnce(Started) + Send,
) -> anyhow::Result<()> {
    match config.source.clone() {
        Source::Cluster(cluster) => in_cluster::run(config, cluster, stop, started).await,
        Source::Manifests(folder) => on_manifests(config, folder, stop, started).await,
    }
}

async fn on_manifests(
    config: Config,
    folder: Manifests,
    stop: CancellationToken,
    started: impl FnOnce(Started) + Send,
) -> anyhow::Result<()> {
    let metrics = Metrics::register(&mut Registry::default());
    let desk = Arc::new(Desk::new(folder.notices));
    let (context, wakes, queues) = parts(&config, desk.cache(), desk.clone(), metrics)?;
    started(Started { admin_addr: None });
    let mut tasks = Tasks::new(stop.clone());
    // Nobody else could lead.
    let (_leading, leadership) = watch::channel(Leadership::Leading);
    let stage = Stage::new(leadership, stop.clone(), CancellationToken::new());
    let (path, reader) = (folder.path, wakes.clone());
    tasks.spawn("manifests", async move { manifests::follow(&path, &desk, &reader, &stop).await });
    spawn_chores(&mut tasks, &config, (&context, &wakes), &stage);
    spawn_work(&mut tasks, context, (wakes, queues), &stage);
    drop(stage);
    tasks.run(DRAIN).await
}

/// The looks at objects, and what wakes them.
fn spawn_work(
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
fn spawn_chores(
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

fn parts(
    config: &Config,
    cache: Cache,
    objects: Arc<dyn Objects>,
    metrics: Metrics,
) -> anyhow::Result<(Arc<Context>, Wakes, Queues)> {
    let ctldb = CtlDb::open(config.ctldb.clone()).context("open ctldb")?;
    let (wakes, queues) = Wakes::new(cache.clone());
    let context = Context {
        cluster: config.cluster_name.to_string(),
        allow_drop: config.allow_drop,
        cache,
        objects,
        database: Database::new(ctldb, config.cluster_name, metrics.clone()),
        budget: Budget::new(config.max_changes),
        requeue: Requeue::new(config.recheck),
        sizes: Sizes::new(config.table_size),
        metrics,
    };
    Ok((Arc::new(context), wakes, queues))
}
