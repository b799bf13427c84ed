//! A stolen token of an agent's pod speaks for its own node, and no other.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use testkit::eventually;

use crate::cluster::Cluster;

const SOON: Duration = Duration::from_secs(60);

fn lease(name: &str) -> Lease {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"holderIdentity": "me"}}))
        .unwrap()
}

async fn create(api: &Api<Lease>, name: &str) -> kube::Result<()> {
    api.create(&PostParams::default(), &lease(name)).await.map(drop)
}

async fn patch(api: &Api<Lease>, name: &str) -> kube::Result<()> {
    let patch = json!({"spec": {"holderIdentity": "you"}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_token_writes_its_nodes_lease_and_that_of_the_uploader() -> Result<()> {
    let cluster = Cluster::new()?;
    let suffix = &cluster.namespace;
    let (mine, other) = (format!("mine-{suffix}"), format!("other-{suffix}"));
    let token = cluster.token(&mine)?;
    cluster.enforce()?;
    let agent = cluster.leases(cluster.server.client_of(&token).await?);
    let admin = cluster.leases(cluster.server.client().await?);
    let name = |node: &str| format!("ctlstore-node-{node}");
    create(&admin, &name(&other)).await?;
    create(&admin, "operator").await?;

    // Policies come into force a moment after they were made, rights as well.
    let refused = eventually(SOON, async || {
        let error = patch(&agent, &name(&other)).await.err().context("it was let through")?;
        let kube::Error::Api(status) = &error else { return Err(error.into()) };
        let words = format!("may write the Leases ctlstore-snapshot and {}", name(&mine));
        ensure!(status.code == 403 && status.message.contains(&words), "{error}");
        Ok(())
    });
    refused.await?;
    let forbidden = |done: kube::Result<()>| {
        assert!(matches!(&done, Err(kube::Error::Api(status)) if status.code == 403), "{done:?}");
    };
    create(&agent, &name(&mine)).await?;
    patch(&agent, &name(&mine)).await?;
    create(&agent, "ctlstore-snapshot").await?;
    patch(&agent, "ctlstore-snapshot").await?;
    forbidden(create(&agent, "ctlstore-node-third").await);
    forbidden(create(&agent, "anything").await);
    forbidden(patch(&agent, "operator").await);
    let mut taken = admin.get(&name(&other)).await?;
    taken.spec = lease("x").spec;
    forbidden(agent.replace(&name(&other), &PostParams::default(), &taken).await.map(drop));
    forbidden(agent.delete(&name(&mine), &DeleteParams::default()).await.map(drop));

    // A token that names no node, as a long-lived one would be: the uploader's Lease only.
    let inside = format!("--namespace={}", cluster.namespace);
    let loose = cluster.server.kubectl(&["create", "token", "agent", &inside])?;
    let loose = cluster.leases(cluster.server.client_of(loose.trim()).await?);
    forbidden(patch(&loose, &name(&mine)).await);
    forbidden(create(&loose, "ctlstore-node-third").await);
    patch(&loose, "ctlstore-snapshot").await?;
    // It is about agents only.
    patch(&admin, &name(&other)).await?;
    Ok(())
}
