//! The operator in one screen: its parts, and the tasks that they run in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use crds::presence::LEASE_SELECTOR;
use crds::{CtlFamily, CtlTable};
use daemon::admin::{self, Admin, Liveness};
use daemon::lease::{Candidate, Leadership, LeaseConfig, identity};
use daemon::net;
use daemon::ready::{Gate, Readiness};
use daemon::tasks::Tasks;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api_server::{self, ApiServer};
use crate::args::{Cluster, Config, PresenceArgs, Source};
use crate::cache::Cache;
use crate::context::Context;
use crate::feed::{Feed, of_labels, of_spec};
use crate::manifests::{self, Desk, Manifests};
use crate::metrics::Metrics;
use crate::presence::{self, AnyNode, Rounds, Tainted};
use crate::prune::Nodes;
use crate::stage::Stage;
use crate::wake::{self, Queues, Wakes, Watched};
use crate::watch::{SILENCE, Seen, Sink, Waking, Watch, names};
use crate::{breaker, chores, crd_check, heartbeat, prune, reconcilers, secret_file};

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

/// What watches share.
struct Watching {
    client: Client,
    wakes: Wakes,
    liveness: Liveness,
    metrics: Metrics,
}

/// The watches of what reconciles look at.
fn spawn_watches(
    tasks: &mut Tasks,
    (families, tables, namespaces): (Feed<CtlFamily>, Feed<CtlTable>, Feed<Namespace>),
    (watching, stage): (&Watching, &Stage),
) {
    fn all<K: Watched>(watching: &Watching, feed: Feed<K>) -> Watch<K, Waking<K>> {
        let sink = Waking { feed, wakes: watching.wakes.clone() };
        watching.watch(Api::all(watching.client.clone()), None, sink)
    }
    spawn_watch(tasks, "watch of families", all(watching, families), (watching, stage));
    spawn_watch(tasks, "watch of tables", all(watching, tables), (watching, stage));
    spawn_watch(tasks, "watch of namespaces", all(watching, namespaces), (watching, stage));
}

/// The watches of agents, and what is made of them.
fn spawn_presence(
    tasks: &mut Tasks,
    (config, namespace): (&Config, String),
    context: &Context,
    (watching, stage): (&Watching, &Stage),
) {
    let PresenceArgs { agent_selector, propagated_share, startup_taint } = config.presence.clone();
    let (client, fleet) = (&watching.client, &context.fleet);
    let api = Api::namespaced(client.clone(), &namespace);
    let leases = watching.watch(api, Some(LEASE_SELECTOR.to_owned()), fleet.leases());
    spawn_watch(tasks, "watch of agents' Leases", leases, (watching, stage));
    let api = Api::namespaced(client.clone(), &namespace);
    let pods = watching.watch(api, Some(agent_selector), fleet.pods());
    spawn_watch(tasks, "watch of agents", pods, (watching, stage));
    let tainted = startup_taint.map(Tainted::new);
    if let Some(tainted) = tainted.clone() {
        let nodes = watching.watch::<AnyNode, _>(Api::all(client.clone()), None, tainted);
        spawn_watch(tasks, "watch of nodes", nodes, (watching, stage));
    }
    let rounds = Rounds {
        fleet: fleet.clone(),
        share: propagated_share,
        cache: context.cache.clone(),
        wakes: watching.wakes.clone(),
        metrics: watching.metrics.clone(),
        client: client.clone(),
        namespace,
        tainted,
    };
    let stop = stage.stop.clone();
    let work = async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = presence::run(&rounds) => {}
        }
        anyhow::Ok(())
    };
    tasks.spawn("presence", stage.clone().run(work));
}

impl Watching {
    fn watch<K, S>(
        &self,
        api: Api<DeserializeGuard<K>>,
        labels: Option<String>,
        sink: S,
    ) -> Watch<K, S> {
        Watch { api, labels, sink, metrics: self.metrics.clone() }
    }
}

fn spawn_watch<K: Seen, S: Sink<K> + 'static>(
    tasks: &mut Tasks,
    name: &'static str,
    watch: Watch<K, S>,
    (watching, stage): (&Watching, &Stage),
) {
    let (liveness, stop) = (watching.liveness.clone(), stage.stop.clone());
    let work = async move {
        // Standbys do not watch, and nobody expects them to.
        watch.run(liveness.watch(name, SILENCE), stop).await;
        anyhow::Ok(())
    };
    tasks.spawn(name, stage.clone().run(work));
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
