//! Scenario 3: a node that joins late begins with a snapshot, and follows the ledger from there.

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::{Cluster, Readers, Site, scenario};
use e2e::eventually;
use serde_json::{Value, json};

use crate::{SOON, rows};

/// Of the node that has no agent yet.
const LATE: &str = "ctlstore-e2e-late";

#[tokio::test]
#[ignore = "needs a cluster: ./justw e2e"]
async fn a_new_node_begins_with_a_snapshot() -> Result<()> {
    let cluster = Cluster::connect()?;
    let late = cluster.nodes()?.get(1).cloned().context("the cluster has one node only")?;
    cluster.kubectl(&["label", "node", &late, &format!("{LATE}=yes"), "--overwrite"])?;
    let absent = json!({"matchExpressions": [{"key": LATE, "operator": "DoesNotExist"}]});
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [absent]}}});
    let values = json!({"agent": {"affinity": affinity}, "snapshots": {"interval": "20s"}});
    scenario("bootstrap", values, async |site| {
        site.declare("billing", "plans")?;
        let executive = site.executive().await?;
        site.register(&executive)?;
        let first = site.write(&executive, "billing", &rows(["first", "second"]))?;
        let others: Vec<_> = cluster.nodes()?.into_iter().filter(|node| *node != late).collect();
        let before = eventually(SOON, async || newest(site, &others, first)).await?;
        let mut last = first;
        for row in ["third", "fourth", "fifth"] {
            last = site.write(&executive, "billing", &rows([row]))?;
        }
        ensure!(site.agent_on(&late).is_err(), "{late} has an agent already");
        cluster.kubectl(&["label", "node", &late, &format!("{LATE}-")])?;
        let caught_up = |status: &Value| status["agent"]["bootstrap"]["entries_after"].is_u64();
        let told = site.node_is(&late, SOON, caught_up).await?["agent"]["bootstrap"].take();
        let (from, after) = (&told["from"], told["entries_after"].as_u64());
        // Another one may have been uploaded meanwhile.
        let known = [before, newest(site, &others, first)?];
        ensure!(
            told["phase"] == "done" && known.contains(from),
            "{told} comes from none of {known:?}"
        );
        let reached = from["seq"].as_u64().zip(after).map(|(from, after)| from + after);
        ensure!(reached >= Some(last), "{told}: the last row is entry {last}");
        println!(
            "the new node began with the snapshot at {}, and {after:?} entries came after it",
            from["seq"]
        );
        let readers = Readers::start(&cluster, &site.apps, &site.directory, ("billing", "plans"))?;
        readers.see(others.len() + 1, 5, SOON).await?;
        readers.saw_no_error()
    })
    .await
}

/// The position of the newest snapshot, by the agent that uploads; not below `seq`.
fn newest(site: &Site, nodes: &[String], seq: u64) -> Result<Value> {
    let known =
        nodes.iter().map(|node| Ok(site.status(node)?["agent"]["snapshot"]["position"].take()));
    let known: Vec<Value> = known.collect::<Result<_>>()?;
    let newest = known.into_iter().max_by_key(|position| position["seq"].as_u64());
    let newest = newest.context("there is no node")?;
    ensure!(
        newest["seq"].as_u64() >= Some(seq),
        "the newest snapshot is {newest}, not {seq} or later"
    );
    Ok(newest)
}
