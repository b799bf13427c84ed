//! Nodes and their agents: Leases by the agents' own code, pods as the kubelets would report them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agent::presence::{Cluster, Presence};
use anyhow::{Context, Result, ensure};
use crds::CtlTable;
use crds::condition::{ConditionType, Reason};
use crds::presence::NodeReport;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use operator::{Config, PresenceArgs};
use serde_json::json;
use testkit::eventually;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::manifest::{family, table};
use crate::world::{Operator, SOON, World, condition, version};

const TAINT: &str = "ctlstore.dev/agent-not-ready";

/// Agents of nodes that are not there.
struct Agents {
    pods: Api<Pod>,
    seqs: Vec<Arc<AtomicI64>>,
    stop: CancellationToken,
    _tasks: JoinSet<()>,
}

impl Agents {
    /// So many, on nodes `node-0` and so on, that are ready and have nothing yet.
    async fn start(world: &World, count: usize) -> Result<Self> {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let seqs: Vec<_> = (0..count).map(|_| Arc::new(AtomicI64::new(0))).collect();
        for (node, seq) in seqs.iter().enumerate() {
            let seq = Arc::clone(seq);
            let report = move || {
                let seq = seq.load(Ordering::Relaxed);
                NodeReport { seq: Some(seq), bootstrapped: seq > 0, ..NodeReport::default() }
            };
            let node = format!("node-{node}");
            let cluster = Cluster::with_client(world.client.clone(), "default", &node);
            let presence = Presence::new(cluster, Duration::from_millis(500), report);
            let stop = stop.clone();
            tasks.spawn(async move {
                let Ok(()) = presence.run(stop).await;
            });
        }
        let pods = Api::default_namespaced(world.client.clone());
        let agents = Self { pods, seqs, stop, _tasks: tasks };
        for node in 0..count {
            agents.pod(node).await?;
        }
        Ok(agents)
    }

    async fn pod(&self, node: usize) -> Result<()> {
        let pod = json!({
            "metadata": {
                "name": format!("agent-{node}"),
                "labels": {
                    "app.kubernetes.io/name": "ctlstore", "app.kubernetes.io/component": "agent",
                },
            },
            "spec": {
                "nodeName": format!("node-{node}"),
                "containers": [{"name": "agent", "image": "ctlstore"}],
            },
        });
        self.pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        self.set_ready(node, true).await
    }

    async fn set_ready(&self, node: usize, ready: bool) -> Result<()> {
        let status = if ready { "True" } else { "False" };
        let patch = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        let name = format!("agent-{node}");
        let params = PatchParams::default();
        self.pods.patch_status(&name, &params, &Patch::Strategic(&patch)).await?;
        Ok(())
    }

    /// These nodes, and no others, have everything up to here.
    fn reach(&self, nodes: impl IntoIterator<Item = usize>, seq: i64) {
        for node in nodes {
            self.seqs[node].store(seq, Ordering::Relaxed);
        }
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits until the table's way is told with this reason and these words.
async fn told(world: &World, reason: Reason, words: &str) -> Result<CtlTable> {
    let api = world.tables("web");
    eventually(SOON * 2, async || {
        let table = api.get("plans").await?;
        let said = condition(&table, ConditionType::Propagated).context("no condition")?;
        let (right, message) = (said.reason == reason.to_string(), &said.message);
        ensure!(right && message.contains(words), "{}: {message}", said.reason);
        Ok(table)
    })
    .await
}

fn numbers(table: &CtlTable) -> (i64, i64, Option<i64>, Option<i64>) {
    let propagation = table.status.clone().unwrap().propagation.unwrap();
    (propagation.ready, propagation.desired, propagation.min_seq, propagation.reached_seq)
}

fn schema_seq(table: &CtlTable) -> i64 {
    table.status.clone().unwrap().schema_seq.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_propagated_when_fifty_agents_have_it_and_stays_so() -> Result<()> {
    let world = World::new().await?;
    let agents = Agents::start(&world, 50).await?;
    // The ledger goes on, as if rows were written.
    let config = Config { heartbeat: Duration::from_millis(100), ..world.config() };
    let operator = Operator::start(config).await?;
    operator.says("/metrics", "nodes_reporting 50").await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    let plans = told(&world, Reason::NodesBehind, "0 of 50 nodes have it").await?;
    let seq = schema_seq(&plans);
    assert_eq!(numbers(&plans), (0, 50, Some(0), None));

    // 98 of 100 are not enough.
    agents.reach(0..49, seq);
    let words = "49 of 50 nodes have it, not yet: node-49";
    assert_eq!(numbers(&told(&world, Reason::NodesBehind, words).await?), (49, 50, Some(0), None));
    agents.reach(49..50, seq + 1);
    let args = ["wait", "--for=condition=Propagated", "ctltable/plans", "--namespace=web"];
    world.server.kubectl(&[&args[..], &["--timeout=60s"]].concat())?;
    let plans = world.tables("web").get("plans").await?;
    assert_eq!(numbers(&plans), (50, 50, Some(seq), Some(seq)));

    // Rows are written, nodes come, go and fall back: no word of it in the status.
    agents.reach(0..50, seq + 1000);
    operator.says("/metrics", &format!("nodes_least_seq {}\n", seq + 1000)).await?;
    agents.reach(0..9, 1);
    agents.set_ready(20, false).await?;
    agents.pods.delete("agent-21", &DeleteParams::default().grace_period(0)).await?;
    operator.says("/metrics", "nodes_reporting 48").await?;
    operator.says("/metrics", "nodes_least_seq 1\n").await?;
    // Nor of who leads.
    operator.stop().await?;
    let operator = world.operator().await?;
    operator.says("/metrics", "nodes_reporting 48").await?;
    operator.says("/metrics", "result=\"Done\"").await?;
    assert_eq!(version(&world.tables("web").get("plans").await?), version(&plans));

    // It grows: a new way, for those that are there now.
    agents.reach(0..50, seq);
    operator.says("/metrics", &format!("nodes_least_seq {seq}\n")).await?;
    world.apply(&[table("web", "plans", &["note Text"], &[])])?;
    let behind = told(&world, Reason::NodesBehind, "0 of 48 nodes have it").await?;
    let grown = schema_seq(&behind);
    assert_eq!(numbers(&behind), (0, 48, Some(seq), Some(seq)));
    agents.reach(0..50, grown);
    let there = told(&world, Reason::AllNodes, "48 of 48").await?;
    assert_eq!(numbers(&there), (48, 48, Some(grown), Some(grown)));
    operator.stop().await
}

async fn taints(nodes: &Api<Node>, name: &str) -> Result<Vec<String>> {
    let taints = nodes.get(name).await?.spec.unwrap_or_default().taints.unwrap_or_default();
    // The API server says that new nodes are not ready, and nobody here says otherwise.
    let ours = taints.into_iter().filter(|taint| taint.key != "node.kubernetes.io/not-ready");
    Ok(ours.map(|taint| taint.key).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_startup_taint_goes_when_the_nodes_agent_has_its_ldb() -> Result<()> {
    let world = World::new().await?;
    let agents = Agents::start(&world, 3).await?;
    let nodes = Api::<Node>::all(world.client.clone());
    let tainted = |name: &str, keys: &[&str]| {
        let taints = keys.iter().map(|key| json!({"key": key, "effect": "NoSchedule"}));
        let taints: Vec<_> = taints.collect();
        json!({"metadata": {"name": name}, "spec": {"taints": taints}})
    };
    let create = async |node: serde_json::Value| -> Result<()> {
        nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        Ok(())
    };
    create(tainted("node-0", &["first", TAINT, "last"])).await?;
    create(tainted("node-1", &[TAINT, "karpenter.sh/unregistered"])).await?;
    create(tainted("node-2", &[TAINT])).await?;
    let presence =
        PresenceArgs { startup_taint: Some(TAINT.to_owned()), ..PresenceArgs::default() };
    let operator = Operator::start(Config { presence, ..world.config() }).await?;
    operator.says("/metrics", "nodes_reporting 3").await?;
    // The first two have their LDBs, the third not yet.
    agents.reach(0..2, 1);
    let gone = async |node: &'static str, rest: &'static [&'static str]| {
        eventually(SOON, async || {
            let found = taints(&nodes, node).await?;
            ensure!(found == rest, "{node}: {found:?}");
            Ok(())
        })
        .await
    };
    gone("node-0", &["first", "last"]).await?;
    assert_eq!(taints(&nodes, "node-1").await?, [TAINT, "karpenter.sh/unregistered"]);
    assert_eq!(taints(&nodes, "node-2").await?, [TAINT]);
    // One that is registered, and one that gets the taint after the operator looked.
    let patch = json!({"spec": {"taints": [{"key": TAINT, "effect": "NoSchedule"}]}});
    for node in ["node-0", "node-1"] {
        nodes.patch(node, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    }
    gone("node-0", &[]).await?;
    gone("node-1", &[]).await?;
    // Its agent is ready before its LDB is there; and the other way round.
    agents.set_ready(2, false).await?;
    agents.reach(2..3, 1);
    operator.says("/metrics", "nodes_ready 2").await?;
    assert_eq!(taints(&nodes, "node-2").await?, [TAINT]);
    agents.set_ready(2, true).await?;
    gone("node-2", &[]).await?;
    operator.stop().await
}
