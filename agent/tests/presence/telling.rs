//! What an agent tells of its node, and that nothing waits for whether it can.

use std::path::Path;
use std::time::Duration;

use agent::Config;
use agent::args::PresenceArgs;
use anyhow::{Context, Result, ensure};
use crds::presence::{LEASE_SELECTOR, NodeReport, lease_name};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::ListParams;
use testkit::apiserver::ApiServer;
use testkit::eventually;

use crate::agent::{Agent, config};
use crate::cluster::Cluster;
use crate::ledger::{Ledger, TABLE, upsert};

const SOON: Duration = Duration::from_secs(60);

fn present(dir: &Path, ledger: &Ledger, args: PresenceArgs) -> Config {
    let presence = PresenceArgs { presence_interval: Duration::from_millis(200), ..args };
    Config { presence, ..config(&dir.join("ldb"), ledger.url()) }
}

fn known(node: &str, namespace: &str) -> PresenceArgs {
    PresenceArgs {
        node_name: Some(node.to_owned()),
        pod_name: Some(format!("agent-{node}")),
        pod_namespace: Some(namespace.to_owned()),
        ..PresenceArgs::default()
    }
}

/// Waits until the node's Lease says this.
async fn told(
    leases: &Api<Lease>,
    node: &str,
    wanted: impl Fn(&NodeReport) -> bool,
) -> Result<Lease> {
    eventually(SOON, async || {
        let lease = leases.get(&lease_name(node)).await?;
        let report = NodeReport::of(&lease.metadata);
        ensure!(wanted(&report), "{report:?}");
        Ok(lease)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_tells_where_its_node_is_with_no_more_rights_than_it_has() -> Result<()> {
    let (cluster, dir) = (Cluster::new()?, tempfile::tempdir()?);
    let node = format!("node-{}", cluster.namespace);
    let token = cluster.token(&node)?;
    cluster.enforce()?;
    let leases = cluster.leases(cluster.server.client().await?);
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let kubeconfig = Some(cluster.server.kubeconfig_of(&token)?);
    let args = PresenceArgs { kubeconfig, ..known(&node, &cluster.namespace) };
    let agent = Agent::start_with(present(dir.path(), &ledger, args.clone())).await?;
    let lease = told(&leases, &node, |report| report.seq == Some(1) && report.bootstrapped).await?;
    let report = NodeReport::of(&lease.metadata);
    let mark: ::ledger::Mark = report.position.context("a position")?.parse()?;
    assert_eq!(mark.seq.get(), 1);
    assert_eq!((report.generation, report.protocol), (Some(1), Some(1)));
    assert_eq!(report.state.as_deref(), Some("following"));
    assert!(report.free_bytes.is_some_and(|bytes| bytes > 0) && report.lag_seconds.is_some());
    let spec = lease.spec.context("a spec")?;
    assert_eq!(spec.holder_identity.as_deref(), Some(format!("agent-{node}").as_str()));
    assert!(lease.metadata.owner_references.is_none());

    ledger.append(&[upsert("a", 1), upsert("b", 2)]);
    told(&leases, &node, |report| report.seq == Some(3)).await?;
    let listed = leases.list(&ListParams::default().labels(LEASE_SELECTOR)).await?;
    assert_eq!(listed.items.len(), 1);
    // Somebody deletes it: it is made again.
    leases.delete(&lease_name(&node), &kube::api::DeleteParams::default()).await?;
    told(&leases, &node, |report| report.seq == Some(3)).await?;
    agent.stop().await;

    // Without presence nothing is renewed.
    let renewed = leases.get(&lease_name(&node)).await?.metadata.resource_version;
    let silent = PresenceArgs { presence: false, ..args };
    let agent = Agent::start_with(present(dir.path(), &ledger, silent)).await?;
    ledger.append(&[upsert("c", 3)]);
    agent.reaches(4).await;
    assert_eq!(leases.get(&lease_name(&node)).await?.metadata.resource_version, renewed);
    agent.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_serves_when_the_api_server_is_away_hangs_or_forbids() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (server, dir) = (ApiServer::start()?, tempfile::tempdir()?);
    let leases = Api::<Lease>::namespaced(server.client().await?, "default");
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let (mine, own) = (server.kubeconfig(), dir.path().join("kubeconfig"));
    std::fs::copy(&mine, &own)?;
    let args = PresenceArgs { kubeconfig: Some(own), ..known("n", "default") };
    let config = || present(dir.path(), &ledger, args.clone());

    // It starts without.
    server.stop()?;
    let agent = Agent::start_with(config()).await?;
    agent.reaches(1).await;
    server.restart()?;
    told(&leases, "n", |report| report.seq == Some(1)).await?;
    // It goes on without: connections stay open and nothing answers.
    server.sigstop()?;
    ledger.append(&[upsert("a", 1)]);
    agent.reaches(2).await;
    agent.stop().await;
    server.sigcont()?;

    // A token that nobody knows, and a file that says nothing.
    let forbidden = server.kubeconfig_of("nobody")?;
    let nonsense = dir.path().join("nonsense");
    std::fs::write(&nonsense, "{}")?;
    for (seq, kubeconfig) in [(3, forbidden), (4, nonsense)] {
        ledger.append(&[upsert("b", 1)]);
        let args = PresenceArgs { kubeconfig: Some(kubeconfig), ..known("n", "default") };
        let agent = Agent::start_with(present(dir.path(), &ledger, args)).await?;
        agent.reaches(seq).await;
        agent.stop().await;
    }
    // A pod whose token is not mounted: no kubeconfig, and no service account here.
    let agent = Agent::start_with(present(dir.path(), &ledger, known("n", "default"))).await?;
    agent.reaches(4).await;
    agent.stop().await;
    Ok(())
}
