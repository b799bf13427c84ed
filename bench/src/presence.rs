//! A thousand nodes' agents at a real API server: what their Leases cost it, and what the operator makes of them.
//!
//! The agents' own code renews the Leases; their pods are objects that nobody runs. The operator is a process of its own, as
//! released, on a ctldb in SQLite.

use std::fs;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agent::args::PresenceArgs;
use agent::presence::{Cluster, Presence};
use anyhow::{Context as _, Result, ensure};
use crds::CtlTable;
use crds::condition::{ConditionType, is_true};
use crds::presence::NodeReport;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use testkit::apiserver::ApiServer;
use testkit::eventually;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::fixture;
use crate::idle::{cpu_seconds, resident_mib};
use crate::process::{Agent, Operator};
use crate::runner::{self, Budget, Contender, Scenario};

const NODES: u32 = 1_000;
/// The fleet that budgets are stated for.
const FLEET: u32 = 5_000;
const TABLES: u32 = 100;

/// What the agent has applied whose memory is measured.
const ENTRIES: u64 = 2_000;

/// So long are the Leases' writes counted.
const WATCHED: Duration = Duration::from_secs(66);
/// Calls at a time, when pods are made.
const AT_A_TIME: usize = 16;

const WRITES: &str = "Lease writes/s of 5,000 nodes";
const STATUS: &str = "status writes of a table until it is everywhere";
const STEADY: &str = "status writes while rows are written and nodes come and go";
const MEMORY: &str = "operator, resident MiB";
const PRESENT: &str = "an agent with presence, resident MiB";
const CPU: &str = "operator, % of a core";

/// What came out.
struct Figures {
    writes: f64,
    status: f64,
    steady: f64,
    memory: f64,
    cpu: f64,
    present: f64,
}

/// Runs the scenario; true when its budgets were kept.
pub(crate) fn run(out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let measured = Runtime::new()?.block_on(measure())?;
    let Figures { writes, status, steady, memory, cpu, present } = measured;
    let figures = [
        (WRITES, writes),
        (STATUS, status),
        (STEADY, steady),
        (MEMORY, memory),
        (CPU, cpu),
        (PRESENT, present),
    ];
    let contender = |(name, figure)| Contender { name, run: Box::new(move || Ok(figure)) };
    let mut scenario = Scenario {
        name: "presence",
        unit: "see name",
        contenders: figures.into_iter().map(contender).collect(),
        budgets: vec![
            Budget::AtMost { limit: 170.0, of: WRITES },
            // Ready, behind, new numbers each half minute, everywhere.
            Budget::AtMost { limit: 8.0, of: STATUS },
            Budget::AtMost { limit: 0.0, of: STEADY },
            Budget::AtMost { limit: 100.0, of: MEMORY },
            Budget::AtMost { limit: 10.0, of: CPU },
        ],
    };
    runner::run(&mut scenario, 1, out, json)
}

async fn measure() -> Result<Figures> {
    // The released binary does it first thing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (server, folder) = (ApiServer::start()?, tempfile::tempdir()?);
    server.install_crds()?;
    let client = server.client().await?;
    let pods = Api::<Pod>::default_namespaced(client.clone());
    each_node(|node| pod(&pods, node)).await.context("make the pods")?;
    let fleet = Fleet::start(&client);
    let operator = Operator::start(folder.path(), &server.kubeconfig())?;
    server.kubectl_with(&["apply", "--server-side", "--filename=-"], &manifests())?;
    // Everybody has reported once when the tables are made.
    sleep(PresenceArgs::default().presence_interval).await;
    fleet.head.store(i64::from(TABLES) + 1, Ordering::Relaxed);
    propagated(&client).await?;
    let told = writes(&server, "ctltables", "status")?;

    let (before, busy) = (writes(&server, "leases", "")?, cpu_seconds(operator.id())?);
    let (began, mut ready) = (Instant::now(), false);
    while began.elapsed() < WATCHED {
        // Rows are written, and a rolling update is under way.
        fleet.head.fetch_add(100, Ordering::Relaxed);
        for node in 0..20 {
            set_ready(&pods, node, ready).await?;
        }
        ready = !ready;
        sleep(Duration::from_secs(3)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let leases = writes(&server, "leases", "")? - before;
    let steady = writes(&server, "ctltables", "status")? - told;
    Ok(Figures {
        writes: leases / seconds * f64::from(FLEET / NODES),
        status: told / f64::from(TABLES),
        steady,
        memory: resident_mib(operator.id())?,
        present: present(folder.path(), &server).await?,
        cpu: (cpu_seconds(operator.id())? - busy) / seconds * 100.0,
    })
}

/// Memory of the released agent that has renewed its Lease a few times.
async fn present(folder: &Path, server: &ApiServer) -> Result<f64> {
    let (ledger, kubeconfig) = (folder.join("rows.sqlite"), server.kubeconfig());
    fixture::mixed_ledger(&ledger, ENTRIES).await?;
    let args = [
        "--node-name=real".as_ref(),
        "--pod-namespace=default".as_ref(),
        "--presence-interval=1s".as_ref(),
        "--kubeconfig".as_ref(),
        kubeconfig.as_os_str(),
    ];
    let agent = Agent::start_with(folder, &ledger, ENTRIES, &args)?;
    sleep(Duration::from_secs(10)).await;
    server.kubectl(&["get", "lease", "ctlstore-node-real"]).context("it does not report")?;
    resident_mib(agent.id())
}

/// Agents of nodes that are not there.
struct Fleet {
    /// Where all of them are in the ledger.
    head: Arc<AtomicI64>,
    stop: CancellationToken,
}

impl Fleet {
    fn start(client: &Client) -> Self {
        let fleet = Self { head: Arc::default(), stop: CancellationToken::new() };
        for node in 0..NODES {
            let head = Arc::clone(&fleet.head);
            let report = move || NodeReport {
                seq: Some(head.load(Ordering::Relaxed)),
                bootstrapped: true,
                ..NodeReport::default()
            };
            let name = format!("node-{node}");
            let cluster = Cluster::with_client(client.clone(), "default", &name);
            let interval = PresenceArgs::default().presence_interval;
            tokio::spawn(Presence::new(cluster, interval, report).run(fleet.stop.clone()));
        }
        fleet
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn each_node<F: Future<Output = Result<()>>>(work: impl Fn(u32) -> F) -> Result<()> {
    stream::iter(0..NODES).map(work).buffer_unordered(AT_A_TIME).try_collect().await
}

async fn pod(pods: &Api<Pod>, node: u32) -> Result<()> {
    let labels =
        json!({"app.kubernetes.io/name": "ctlstore", "app.kubernetes.io/component": "agent"});
    let pod = json!({
        "metadata": {"name": format!("agent-{node}"), "labels": labels},
        "spec": {
            "nodeName": format!("node-{node}"),
            "containers": [{"name": "agent", "image": "ctlstore"}],
        },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    set_ready(pods, node, true).await
}

async fn set_ready(pods: &Api<Pod>, node: u32, ready: bool) -> Result<()> {
    let status = if ready { "True" } else { "False" };
    let patch = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    let (name, params) = (format!("agent-{node}"), PatchParams::default());
    pods.patch_status(&name, &params, &Patch::Strategic(&patch)).await?;
    Ok(())
}

fn manifests() -> String {
    let family =
        "{apiVersion: ctlstore.dev/v1alpha1, kind: CtlFamily, metadata: {name: bench}, spec: {}}\n";
    let table = |number| {
        format!(
            "---\n{{apiVersion: ctlstore.dev/v1alpha1, kind: CtlTable, metadata: {{name: table-{number}, namespace: default}}, \
             spec: {{familyRef: {{name: bench}}, keyColumns: [id], columns: [{{name: id, type: String}}]}}}}\n"
        )
    };
    (0..TABLES).map(table).fold(family.to_owned(), |all, table| all + &table)
}

/// Waits until all tables are everywhere.
async fn propagated(client: &Client) -> Result<()> {
    let tables = Api::<CtlTable>::default_namespaced(client.clone());
    eventually(Duration::from_secs(180), async || {
        for table in tables.list(&ListParams::default()).await? {
            let conditions = table.status.clone().unwrap_or_default().conditions;
            let there = is_true(&conditions, ConditionType::Propagated, None);
            ensure!(there, "{}: {conditions:?}", table.name_any());
        }
        Ok(())
    })
    .await
}

/// How many objects of this resource were created and patched so far, as the API server counts it. Elections replace
/// their Leases, and so they do not count.
fn writes(server: &ApiServer, resource: &str, subresource: &str) -> Result<f64> {
    let metrics = server.kubectl(&["get", "--raw=/metrics"])?;
    let has = |line: &str, label: &str, value: &str| line.contains(&format!("{label}=\"{value}\""));
    let counted = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && has(line, ",resource", resource)
            && has(line, ",subresource", subresource)
            && ["POST", "PATCH", "APPLY"].iter().any(|verb| has(line, ",verb", verb))
    });
    counted
        .map(|line| {
            let (_, count) = line.rsplit_once(' ').context("a metric without a value")?;
            Ok(count.parse::<f64>()?)
        })
        .sum()
}

impl Operator {
    /// Starts it on a new SQLite ctldb.
    fn start(folder: &Path, kubeconfig: &Path) -> Result<Self> {
        let url_file = folder.join("ctldb-url");
        fs::write(&url_file, format!("sqlite:{}", folder.join("ctldb.sqlite").display()))?;
        Self::spawn(&[
            "operator".as_ref(),
            "--ctldb-url-file".as_ref(),
            url_file.as_os_str(),
            "--kubeconfig".as_ref(),
            kubeconfig.as_os_str(),
            "--admin-bind=127.0.0.1:0".as_ref(),
            "--heartbeat-interval=0".as_ref(),
            "--lease-namespace=default".as_ref(),
        ])
    }
}
