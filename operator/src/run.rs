//! The operator in one screen: its parts, and the tasks that they run in.

mod watches;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use daemon::admin::{self, Admin, Liveness};
use daemon::lease::{Candidate, Leadership, LeaseConfig, identity};
use daemon::net;
use daemon::ready::{Gate, Readiness};
use daemon::tasks::Tasks;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api_server::{self, ApiServer};
use crate::args::{Cluster, Config, Source};
use crate::cache::Cache;
use crate::context::Context;
use crate::crd_check;
use crate::feed::{Feed, of_labels, of_spec};
use crate::manifests::{self, Desk, Manifests};
use crate::metrics::Metrics;
use crate::run::watches::{Watching, spawn_presence, spawn_watches};
use crate::run::work::{spawn_chores, spawn_work};
use crate::stage::Stage;
use crate::wake::Wakes;

/// For the looks that are in hand when the operator is stopped; the Lease is given back after them.
const DRAIN: Duration = Duration::from_secs(20);

/// Beyond the renew deadline, which ends the process by itself.
const LEASE_SILENCE: Duration = Duration::from_secs(30);

const OPEN: &str = "open ctldb";

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
    let client = api_server::client(cluster.kubeconfig.as_deref()).await?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let (readiness, liveness) = (Readiness::new(), Liveness::new());
    let (families, tables, namespaces) =
        (Feed::new(of_spec), Feed::new(of_spec), Feed::new(of_labels));
    let cache = Cache::new(families.store(), tables.store(), namespaces.store());
    let identity = identity(&cluster.pod_name);
    let objects = Arc::new(ApiServer::new(client.clone(), &identity, metrics.clone()));
    let (wakes, queues) = Wakes::new(cache.clone());
    let context = Context::new(&config, cache, objects, metrics.clone()).context(OPEN)?;
    let context = Arc::new(context);

    let namespace = cluster.lease_namespace.clone();
    let mut tasks = Tasks::new(stop.clone());
    let standing =
        Standing { client: client.clone(), cluster, identity, gate: readiness.gate("crds") };
    let stage = spawn_election(&mut tasks, standing, &liveness, metrics.clone())?;
    let admin = Admin { readiness, liveness: liveness.clone(), registry };
    let admin_addr = spawn_admin(&mut tasks, &config, admin).await?;
    started(Started { admin_addr });
    let watching = Watching { client, wakes: wakes.clone(), liveness, metrics };
    spawn_watches(&mut tasks, (families, tables, namespaces), (&watching, &stage));
    spawn_presence(&mut tasks, (&config, namespace), &context, (&watching, &stage));
    spawn_chores(&mut tasks, &config, (&context, &wakes), &stage);
    spawn_work(&mut tasks, context, (wakes, queues), &stage);
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
    let (wakes, queues) = Wakes::new(desk.cache());
    let context = Context::new(&config, desk.cache(), desk.clone(), metrics).context(OPEN)?;
    let context = Arc::new(context);
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

async fn spawn_admin(
    tasks: &mut Tasks,
    config: &Config,
    admin: Admin,
) -> anyhow::Result<Option<SocketAddr>> {
    let Some(addr) = config.admin_bind else { return Ok(None) };
    let listener = net::bind(addr).await?;
    let addr = listener.local_addr().context("own address")?;
    tasks.spawn("admin", admin::serve(listener, admin, tasks.stop()));
    Ok(Some(addr))
}

/// What it takes to stand for election.
struct Standing {
    client: Client,
    cluster: Cluster,
    identity: String,
    gate: Gate,
}

fn spawn_election(
    tasks: &mut Tasks,
    standing: Standing,
    liveness: &Liveness,
    metrics: Metrics,
) -> anyhow::Result<Stage> {
    let Standing { client, cluster, identity, gate } = standing;
    let Cluster { kubeconfig: _, lease_namespace, lease_name, pod_name: _, timing } = cluster;
    let lease = LeaseConfig { namespace: lease_namespace, name: lease_name, identity, timing };
    let (candidate, leadership) = Candidate::new(client.clone(), lease)?;
    let candidate = candidate.with_pulse(liveness.watch("lease", LEASE_SILENCE));
    let (stop, work_over) = (tasks.stop(), CancellationToken::new());
    let stage = Stage::new(leadership, stop.clone(), work_over.clone());
    tasks.spawn("lease", async move {
        // Who would misread the objects does not stand.
        if crd_check::wait_until_fit(&client, &gate, &stop).await {
            candidate.run(work_over).await?;
        }
        anyhow::Ok(())
    });
    let stop = tasks.stop();
    tasks.spawn(
        "leadership",
        stage.clone().run(async move {
            metrics.leader(true);
            stop.cancelled().await;
            anyhow::Ok(())
        }),
    );
    Ok(stage)
}
