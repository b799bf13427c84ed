//! Scenario 10: what the Pod Security Standards have to say. Only agents need more than `restricted` allows, and no more than
//! the chart's NOTES tell; applications keep to it, with a claim for a mount or by the Service of their node.

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::{Readers, Site, scenario};
use serde_json::{Value, json};

use crate::{SOON, rows};

/// What a program asks its node's agent over TCP.
const ASK: &str = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())";

#[tokio::test]
#[ignore = "needs a cluster: ./justw e2e"]
async fn applications_keep_to_the_restricted_standard() -> Result<()> {
    let values = json!({"agent": {"readApi": {"enabled": true}}});
    scenario("restricted", values, async |site| {
        only_agents_need_more(site)?;
        let level = "pod-security.kubernetes.io/enforce=restricted";
        site.cluster.kubectl(&["label", "--overwrite", "namespace", &site.apps, level])?;
        site.declare("billing", "plans")?;
        let mounting =
            Readers::start(&site.cluster, &site.apps, &site.directory, ("billing", "plans"));
        drop(mounting?);
        let namespace = format!("--namespace={}", site.apps);
        refused(site, &namespace).await?;
        site.cluster.kubectl(&["delete", "daemonset/readers", &namespace])?;

        site.upgrade(&[&format!("--set=readerVolumes.namespaces={{{}}}", site.apps)])?;
        let readers =
            Readers::claim(&site.cluster, &site.apps, "ctlstore-ldb", ("billing", "plans"))?;
        let executive = site.executive().await?;
        site.register(&executive)?;
        site.write(&executive, "billing", &rows(["first", "second"]))?;
        readers.see(site.cluster.nodes()?.len(), 2, SOON).await?;
        for (node, pod) in readers.pods()? {
            let tried = readers.exec(&pod, &["/pod-reader", "attempt", "/ldb"])?;
            ensure!(tried.contains(r#""create":"read-only filesystem"#), "on {node}: {tried}");
            own_agent_answers(site, &namespace, &node, &pod)?;
        }
        readers.saw_no_error()
    })
    .await
}

/// What the API server would say if the product's namespace were `restricted`.
fn only_agents_need_more(site: &Site) -> Result<()> {
    let level = "pod-security.kubernetes.io/enforce=restricted";
    let said = site.cluster.warnings(&[
        "label",
        "--dry-run=server",
        "--overwrite",
        "namespace",
        &site.namespace,
        level,
    ])?;
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("ctlstore-"))
        .filter(|line| !line.contains("existing pods"))
        .collect();
    let [agents] = ours[..] else { anyhow::bail!("not only agents break the standard: {said}") };
    let (pods, needs) = agents
        .split_once("): ")
        .or_else(|| agents.split_once(": "))
        .context("a warning of another form")?;
    ensure!(pods.contains("ctlstore-agent-"), "{agents}");
    let known =
        "unrestricted capabilities, restricted volume types, runAsNonRoot != true, runAsUser=0";
    ensure!(needs == known, "agents need {needs}, not {known}");
    Ok(())
}

/// The DaemonSet may make no pod.
async fn refused(site: &Site, namespace: &str) -> Result<()> {
    e2e::eventually(SOON, async || {
        let events =
            site.cluster.get(&["events", namespace, "--field-selector=reason=FailedCreate"])?;
        let said = events["items"][0]["message"].as_str().unwrap_or_default();
        ensure!(said.contains("hostPath") && said.contains("restricted"), "it says {said:?}");
        Ok(())
    })
    .await
}

/// The Service leads to the agent of the pod's own node: no two agents are in their state since the same millisecond.
fn own_agent_answers(site: &Site, namespace: &str, node: &str, pod: &str) -> Result<()> {
    let url = format!("http://ctlstore-read.{}:1331/v1/status", site.namespace);
    let ask = ["exec", pod, namespace, "--container=python", "--", "python3", "-c", ASK, &url];
    let said = site.cluster.kubectl(&ask)?;
    let said: Value = serde_json::from_str(&said).with_context(|| format!("it says {said:?}"))?;
    let own = site.status(node)?["agent"].take();
    ensure!(
        said["since_ms"].is_u64() && said["since_ms"] == own["since_ms"],
        "{node}: {said} is not {own}"
    );
    Ok(())
}
