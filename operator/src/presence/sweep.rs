//! Deletes the Leases of nodes that are gone. An agent that was only cut off makes its Lease anew.

use std::time::Duration;

use daemon::log::Chain;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client};

use crate::presence::Fleet;
use crate::presence::fleet::SilentLease;

/// At a time; what remains has its turn a minute later.
const MOST: usize = 100;

/// The longest wait for one answer.
const CALL: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot delete lease {name}")]
    Call { name: String, source: Box<kube::Error> },
    #[error("no answer within {} s to delete lease {name}", CALL.as_secs())]
    Silent { name: String },
}

/// Once.
pub(super) async fn sweep(fleet: &Fleet, client: &Client, namespace: &str) {
    let api = Api::namespaced(client.clone(), namespace);
    for lease in fleet.silent(MOST) {
        let name = lease.name.clone();
        match delete(&api, lease).await {
            Ok(()) => tracing::info!(
                lease = name,
                "deleted the Lease of a node that was silent for an hour"
            ),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "Leases of nodes that are gone stay, it is tried again");
                return;
            }
        }
    }
}

async fn delete(api: &Api<Lease>, lease: SilentLease) -> Result<(), Error> {
    let SilentLease { name, version } = lease;
    // Not one that was renewed meanwhile.
    let same = Preconditions { resource_version: Some(version), uid: None };
    let params = DeleteParams::default().preconditions(same);
    match tokio::time::timeout(CALL, api.delete(&name, &params)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(()),
        Ok(Err(source)) => Err(Error::Call { name, source: Box::new(source) }),
        Err(_) => Err(Error::Silent { name }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::Result;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use kube::ResourceExt;
    use kube::api::{ListParams, PostParams};
    use kube::runtime::watcher::Event;
    use serde_json::json;
    use testkit::apiserver::ApiServer;

    use super::*;
    use crate::watch::Sink;

    #[tokio::test]
    async fn only_leases_that_nobody_renews_are_deleted() -> Result<()> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = ApiServer::shared();
        let (client, namespace) = (server.client().await?, server.create_namespace()?);
        let api = Api::<Lease>::namespaced(client.clone(), &namespace);
        let old = MicroTime(jiff::Timestamp::now() - jiff::SignedDuration::from_mins(61));
        let (fleet, post) = (Fleet::default(), PostParams::default());
        let mut sink = fleet.leases();
        sink.take(&Event::Init).await;
        for (name, renewed) in [
            ("ctlstore-node-gone", &old),
            ("ctlstore-node-back", &old),
            ("ctlstore-node-here", &MicroTime(jiff::Timestamp::now())),
            ("operator", &old),
        ] {
            let lease = json!({"metadata": {"name": name}, "spec": {"renewTime": renewed}});
            let lease = api.create(&post, &serde_json::from_value(lease)?).await?;
            sink.take(&Event::InitApply(lease)).await;
        }
        sink.take(&Event::InitDone).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(601)).await;
        tokio::time::resume();
        // It comes back after we looked.
        let mut back = api.get("ctlstore-node-back").await?;
        back.spec.get_or_insert_default().holder_identity = Some("back".to_owned());
        api.replace("ctlstore-node-back", &post, &back).await?;
        sweep(&fleet, &client, &namespace).await;
        let left = api.list(&ListParams::default()).await?;
        let left: Vec<_> = left.items.iter().map(ResourceExt::name_any).collect();
        assert_eq!(left, ["ctlstore-node-back", "ctlstore-node-here", "operator"]);
        Ok(())
    }
}
