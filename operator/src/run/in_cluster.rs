//! The operator in a cluster: it stands for election, watches the API server while it leads, and tells how it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use daemon::admin::{self, Admin, Liveness};
use daemon::lease::{Candidate, LeaseConfig, identity};
use daemon::net;
use daemon::ready::{Gate, Readiness};
use daemon::tasks::Tasks;
use kube::{Api, Client};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::api_server::{self, ApiServer};
use crate::args::{Cluster, Config};
use crate::cache::Cache;
use crate::crd_check;
use crate::feed::{Feed, of_labels, of_spec};
use crate::metrics::Metrics;
use crate::run::{DRAIN, Started, parts, spawn_chores, spawn_work};
use crate::stage::Stage;
use crate::wake::{Wakes, Watched};
use crate::watch::{SILENCE, Watch};

/// Beyond the renew deadline, which ends the process by itself.
const LEASE_SILENCE: Duration = Duration::from_secs(30);

/// Runs until `stop`, as long as we lead or stand by.
pub(super) async fn run(
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
    let (context, wakes, queues) = parts(&config, cache, objects, metrics.clone())?;

    let mut tasks = Tasks::new(stop.clone());
    let standing =
        Standing { client: client.clone(), cluster, identity, gate: readiness.gate("crds") };
    let stage = spawn_election(&mut tasks, standing, &liveness, metrics.clone())?;
    let admin = Admin { readiness, liveness: liveness.clone(), registry };
    let admin_addr = spawn_admin(&mut tasks, &config, admin).await?;
    started(Started { admin_addr });
    let watching = Watching { client, wakes: wakes.clone(), liveness, metrics };
    spawn_watch(&mut tasks, "watch of families", families, (&watching, &stage));
    spawn_watch(&mut tasks, "watch of tables", tables, (&watching, &stage));
    spawn_watch(&mut tasks, "watch of namespaces", namespaces, (&watching, &stage));
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
        Watch { api, feed, pulse, metrics }.run(wakes, stop).await;
        anyhow::Ok(())
    };
    tasks.spawn(name, stage.clone().run(work));
}
