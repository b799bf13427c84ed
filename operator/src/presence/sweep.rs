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
