//! Scenario 1: from an empty namespace to rows in pods on every node.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::{Readers, Site, scenario};
use serde_json::{Value, json};

use crate::{SOON, rows};

#[tokio::test]
#[ignore = "needs a cluster: ./justw e2e"]
async fn rows_reach_readers_on_every_node() -> Result<()> {
    let began = Instant::now();
    scenario("install", json!({}), async |site| {
        site.declare("billing", "plans")?;
        site.wait_for("ctltable/plans", "Propagated")?;
        let nodes = site.cluster.nodes()?.len();
        let readers =
            Readers::start(&site.cluster, &site.apps, &site.directory, ("billing", "plans"))?;
        let executive = site.executive().await?;
        site.register(&executive)?;
        readers.see(nodes, 0, SOON).await?;
        let written = Instant::now();
        site.write(&executive, "billing", &rows(["free", "team"]))?;
        readers.see(nodes, 2, SOON).await?;
        println!(
            "two rows seen by three kinds of readers on {nodes} nodes after {:?}",
            written.elapsed()
        );
        nobody_but_the_agent_writes(&readers)?;
        the_directory_is_as_documented(site)?;
        readers.saw_no_error()?;
        println!("scenario 1 took {:?}", began.elapsed());
        Ok(())
    })
    .await
}

/// A reader is another user, whom the modes keep out, and its mount is read-only.
fn nobody_but_the_agent_writes(readers: &Readers) -> Result<()> {
    for (node, pod) in readers.pods()? {
        let said = readers.exec(&pod, &["/pod-reader", "attempt", "/ldb"])?;
        let said: Value = serde_json::from_str(&said).context("what a reader tried")?;
        let want = json!({
            "uid": 10001,
            "create": "read-only filesystem or storage medium",
            "write ldb.db": "permission denied",
            "write ctl": "permission denied",
            "remove ctl": "read-only filesystem or storage medium",
            "rename current": "read-only filesystem or storage medium",
        });
        ensure!(said == want, "on {node}: {said}");
    }
    Ok(())
}

/// The agent runs as user 64000 with no capability, and the files are the agent's, readable for all.
fn the_directory_is_as_documented(site: &Site) -> Result<()> {
    for pod in site.pods("agent")? {
        let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
        let status = &pod["status"]["containerStatuses"][0];
        ensure!(status["restartCount"] == 0, "{name} was restarted: {status}");
        ensure!(status["user"]["linux"]["uid"] == 64000, "{name} runs as another user: {status}");
    }
    let listing = site.on_each_node("find . -maxdepth 2 -printf '%m %U:%G %y %P\\n' | sort")?;
    for (node, listing) in listing {
        ensure!(listing.contains("755 64000:64000 d \n"), "on {node}:\n{listing}");
        for file in ["ctl", "gen-1/ldb.db", "gen-1/ldb.db-wal", "gen-1/ldb.db-shm"] {
            ensure!(
                listing.contains(&format!("644 64000:64000 f {file}\n")),
                "on {node}, {file}:\n{listing}"
            );
        }
        ensure!(listing.contains("666 64000:64000 s agent.sock\n"), "on {node}:\n{listing}");
        let others = listing.lines().find(|line| !line.contains(" 64000:64000 "));
        ensure!(others.is_none(), "on {node} somebody else owns: {others:?}");
    }
    Ok(())
}
