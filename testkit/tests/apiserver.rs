//! The API server of the tests does what tests rely on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{ListParams, PostParams};
use testkit::apiserver::ApiServer;
use testkit::eventually;

#[tokio::test]
async fn clients_reach_the_shared_server() {
    let server = ApiServer::shared();
    let name = server.create_namespace().unwrap();
    let client = server.client().await.unwrap();
    assert!(Api::<Namespace>::all(client).get_opt(&name).await.unwrap().is_some());
    let printed = server.kubectl(&["get", "namespace", &name, "--output=name"]).unwrap();
    assert_eq!(printed, format!("namespace/{name}\n"));
}

#[tokio::test]
async fn another_user_may_do_what_he_was_granted() {
    let server = ApiServer::shared();
    let namespace = server.create_namespace().unwrap();
    let user = "system:serviceaccount:test:reader";
    let client = server.client_as(user).await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(client, &namespace);
    let err = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&err, kube::Error::Api(status) if status.code == 403), "{err}");

    let (inside, role) = (format!("--namespace={namespace}"), "--verb=list");
    server.kubectl(&["create", "role", "r", role, "--resource=configmaps", &inside]).unwrap();
    let subject = format!("--user={user}");
    server.kubectl(&["create", "rolebinding", "r", "--role=r", &subject, &inside]).unwrap();
    let listed = eventually(Duration::from_secs(10), async || {
        maps.list(&ListParams::default()).await.context("list")
    });
    assert_eq!(listed.await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn objects_survive_a_restart() {
    let server = ApiServer::start().unwrap();
    let client = server.client().await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(client, "default");
    let mut map = ConfigMap::default();
    map.metadata.name = Some("kept".to_owned());
    maps.create(&PostParams::default(), &map).await.unwrap();

    server.stop().unwrap();
    assert!(maps.get("kept").await.is_err());
    server.restart().unwrap();
    let found = eventually(Duration::from_secs(10), async || -> Result<_> {
        let found = maps.get_opt("kept").await.context("get")?;
        ensure!(found.is_some(), "not there");
        Ok(())
    });
    found.await.unwrap();

    server.sigstop().unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(300), maps.get("kept")).await;
    assert!(answer.is_err(), "a frozen server answered");
    server.sigcont().unwrap();
    maps.get("kept").await.unwrap();
}
