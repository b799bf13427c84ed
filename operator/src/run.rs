//! The operator in one screen: its parts, and the tasks that they run in.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ctldb::CtlDb;
use daemon::admin::{self, Admin, Liveness};
use daemon::lease::{Candidate, Leadership, LeaseConfig, identity};
use daemon::log::Chain;
use daemon::net;
use daemon::ready::Readiness;
use daemon::tasks::Tasks;
use futures::{FutureExt, StreamExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{self, Action, applier};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::api_server::ApiServer;
use crate::args::{Cluster, Config, Source};
use crate::budget::Budget;
use crate::cache::Cache;
use crate::context::Context;
use crate::database::Database;
use crate::feed::{Feed, of_labels, of_spec};
use crate::manifests::{self, Desk, Manifests};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::requeue::Requeue;
use crate::wake::{self, Queues, Wakes, Watched};
use crate::watch::{SILENCE, Watch, names};
use crate::{breaker, chores, crd_check, ctlfamily, ctltable, secret_file};

/// Looks at one time. Changes of tables queue for one lock anyway.
const CONCURRENCY: u16 = 8;

/// For the looks that are in hand when the operator is stopped; the Lease is given back after them.
const DRAIN: Duration = Duration::from_secs(20);

/// Beyond the renew deadline, which ends the process by itself.
const LEASE_SILENCE: Duration = Duration::from_secs(30);

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
        Source::Cluster(cluster) => in_cluster(config, cluster, stop, started).await,
        Source::Manifests(folder) => on_manifests(config, folder, stop, started).await,
    }
}

async fn in_cluster(
    config: Config,
    cluster: Cluster,
    stop: CancellationToken,
    started: impl FnOnce(Started) + Send,
) -> anyhow::Result<()> {
    let client = client(&cluster).await?;
    let identity = identity(&cluster.pod_name);
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let (readiness, liveness) = (Readiness::new(), Liveness::new());
    let fits = readiness.gate("crds");
    let (families, tables, namespaces) =
        (Feed::new(of_spec), Feed::new(of_spec), Feed::new(of_labels));
    let cache = Cache::new(families.store(), tables.store(), namespaces.store());
    let objects = Arc::new(ApiServer::new(client.clone(), &identity, metrics.clone()));
    let (context, wakes, queues) = parts(&config, cache, objects, metrics.clone())?;

    let mut tasks = Tasks::new(stop.clone());
    let listener = match config.admin_bind {
        Some(addr) => Some(net::bind(addr).await?),
        None => None,
    };
    let admin_addr = listener.as_ref().map(|listener| listener.local_addr()).transpose()?;
    if let Some(listener) = listener {
        let admin = Admin { readiness, liveness: liveness.clone(), registry };
        tasks.spawn("admin", admin::serve(listener, admin, stop.clone()));
    }
    started(Started { admin_addr });

    let lease = LeaseConfig {
        namespace: cluster.lease_namespace,
        name: cluster.lease_name,
        identity,
        timing: cluster.timing,
    };
    let (candidate, leadership) = Candidate::new(client.clone(), lease)?;
    let candidate = candidate.with_pulse(liveness.watch("lease", LEASE_SILENCE));
    let work_over = CancellationToken::new();
    let stage =
        Stage { leadership, stop: stop.clone(), _over: Arc::new(work_over.clone().drop_guard()) };
    let (election, gate) = (stop.clone(), client.clone());
    tasks.spawn("lease", async move {
        // Who would misread the objects does not stand.
        if crd_check::wait_until_fit(&gate, &fits, &election).await {
            candidate.run(work_over).await?;
        }
        anyhow::Ok(())
    });
    let shown = (metrics.clone(), stage.clone());
    tasks.spawn("leadership", async move {
        let (metrics, stage) = shown;
        stage
            .clone()
            .run(async move {
                metrics.leader(true);
                stage.stop.cancelled().await;
                Ok(())
            })
            .await
    });
    let watching = Watching { client, wakes: wakes.clone(), liveness, metrics };
    spawn_watch(&mut tasks, "watch of families", families, (&watching, &stage));
    spawn_watch(&mut tasks, "watch of tables", tables, (&watching, &stage));
    spawn_watch(&mut tasks, "watch of namespaces", namespaces, (&watching, &stage));
    spawn_work(&mut tasks, &config, (context, wakes, queues), &stage);
    drop(stage);
    tasks.run(DRAIN).await
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
    let (leading, leadership) = watch::channel(Leadership::Leading);
    let stage = Stage {
        leadership,
        stop: stop.clone(),
        _over: Arc::new(CancellationToken::new().drop_guard()),
    };
    let reader = (folder.path, desk, wakes.clone(), stop.clone());
    tasks.spawn("manifests", async move {
        let _leading = leading;
        let (path, desk, wakes, stop) = reader;
        manifests::follow(&path, &desk, &wakes, &stop).await
    });
    spawn_work(&mut tasks, &config, (context, wakes, queues), &stage);
    drop(stage);
    tasks.run(DRAIN).await
}

/// What watches share.
struct Watching {
    client: Client,
    wakes: Wakes,
    liveness: Liveness,
    metrics: Metrics,
}

fn spawn_watch<K: Watched>(
    tasks: &mut Tasks,
    name: &'static str,
    feed: Feed<K>,
    (watching, stage): (&Watching, &Stage),
) {
    let Watching { client, wakes, liveness, metrics } = watching;
    let (wakes, liveness, stop) = (wakes.clone(), liveness.clone(), stage.stop.clone());
    let (api, metrics) = (Api::all(client.clone()), metrics.clone());
    let work = async move {
        // Standbys do not watch, and nobody expects them to.
        let pulse = liveness.watch(name, SILENCE);
        Watch { api, feed, pulse, metrics }.run(wakes, stop).await
    };
    tasks.spawn(name, stage.clone().run(work));
}

/// What leads only while we lead: reconciles, chores, and what they lean on.
fn spawn_work(
    tasks: &mut Tasks,
    config: &Config,
    (context, wakes, queues): (Arc<Context>, Wakes, Queues),
    stage: &Stage,
) {
    let Queues { tables, families, counts } = queues;
    let stop = &stage.stop;
    let (families, tables) = (names(families, stop.clone()), names(tables, stop.clone()));
    let shared = || (Arc::clone(&context), stop.clone());

    let (work, stop) = shared();
    tasks.spawn("families", stage.clone().run(async move {
        if !work.cache.ready(&stop).await? {
            return Ok(());
        }
        let reconcile = |family: Arc<crds::CtlFamily>, context| {
            ctlfamily::reconcile(ObjectRef::from(&*family), context).boxed()
        };
        let policy = |family: Arc<crds::CtlFamily>, error: &ctlfamily::Error, context: Arc<Context>| {
            tracing::warn!(error = %Chain(error), family = family.metadata.name, "the family is not done, it is tried again");
            Action::requeue(ctlfamily::error_policy(&family, &context))
        };
        let (store, config) = (work.cache.families.clone(), concurrency());
        applier(reconcile, policy, work, store, families, config).for_each(async |_| {}).await;
        Ok(())
    }));
    let (work, stop) = shared();
    tasks.spawn("tables", stage.clone().run(async move {
        if !work.cache.ready(&stop).await? {
            return Ok(());
        }
        let reconcile = |table: Arc<crds::CtlTable>, context| {
            ctltable::reconcile(ObjectRef::from(&*table), context).boxed()
        };
        let policy = |table: Arc<crds::CtlTable>, error: &ctltable::Error, context: Arc<Context>| {
            tracing::warn!(error = %Chain(error), namespace = table.metadata.namespace, table = table.metadata.name, "the table is not done, it is tried again");
            Action::requeue(ctltable::error_policy(&table, &context))
        };
        let (store, config) = (work.cache.tables.clone(), concurrency());
        applier(reconcile, policy, work, store, tables, config).for_each(async |_| {}).await;
        Ok(())
    }));
    let ((work, stop), pause) = (shared(), config.chores);
    tasks.spawn("chores", stage.clone().run(async move { chores::run(&work, pause, &stop).await }));
    let ((work, stop), everybody) = (shared(), wakes.clone());
    tasks.spawn(
        "breaker",
        stage.clone().run(async move { breaker::guard(&work.database, &everybody, &stop).await }),
    );
    let (_, stop) = shared();
    tasks.spawn(
        "counts",
        stage.clone().run(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = wake::count(counts, wakes) => {}
            }
            Ok(())
        }),
    );
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
            secret_file::follow(&file, url, &work.database, &stop).await
        });
    }
}

/// Leads or waits to.
#[derive(Clone)]
struct Stage {
    leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
    /// The Lease is given back when the last of the leader's tasks has dropped it, however that task ended.
    _over: Arc<DropGuard>,
}

impl Stage {
    /// Does `work` once we lead; nothing if we never do.
    async fn run(mut self, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        let leading = async {
            if self.leadership.wait_for(|now| *now == Leadership::Leading).await.is_err() {
                // The candidate has ended, and with it the process will.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            () = leading => {}
        }
        work.await
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
        metrics,
    };
    Ok((Arc::new(context), wakes, queues))
}

async fn client(cluster: &Cluster) -> anyhow::Result<Client> {
    let config = match &cluster.kubeconfig {
        Some(file) => {
            let file = Kubeconfig::read_from(file).context("read the kubeconfig")?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(file, &options).await.context("the kubeconfig")?
        }
        None => kube::Config::infer().await.context("find the cluster")?,
    };
    Client::try_from(config).context("make a client of the cluster")
}

fn concurrency() -> controller::Config {
    controller::Config::default().concurrency(CONCURRENCY)
}
