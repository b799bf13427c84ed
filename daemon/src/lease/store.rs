//! Reads and writes one Lease. A write is conditional on what was read, always.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::time::timeout;

use super::config::LeaseConfig;
use super::error::LeaseError;

#[derive(Debug)]
pub(super) struct Store {
    api: Api<Lease>,
    namespace: String,
    name: String,
    within: Duration,
}

impl Store {
    pub(super) fn new(client: kube::Client, config: &LeaseConfig) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            namespace: config.namespace.clone(),
            name: config.name.clone(),
            within: config.timing.call_timeout,
        }
    }

    /// Namespace and name.
    pub(super) fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub(super) async fn read(&self) -> Result<Option<Lease>, LeaseError> {
        self.call("read", self.api.get_opt(&self.name)).await
    }

    /// Creates the Lease if none was found, else replaces the one that was found and no other.
    pub(super) async fn write(
        &self,
        found: Option<Lease>,
        spec: LeaseSpec,
    ) -> Result<Lease, LeaseError> {
        let params = PostParams::default();
        match found {
            // Without a version the replacement would be unconditional.
            Some(lease) if lease.metadata.resource_version.is_none() => {
                Err(LeaseError::Versionless { lease: self.lease() })
            }
            Some(lease) => {
                let lease = Lease { spec: Some(spec), ..lease };
                self.call("replace", self.api.replace(&self.name, &params, &lease)).await
            }
            None => {
                let name = Some(self.name.clone());
                let metadata = ObjectMeta { name, ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(spec) };
                self.call("create", self.api.create(&params, &lease)).await
            }
        }
    }

    /// Every call ends in time, and a conflict is told apart.
    async fn call<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, LeaseError> {
        let lease = self.lease();
        match timeout(self.within, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                Err(LeaseError::Conflict { lease })
            }
            Ok(Err(source)) => Err(LeaseError::Call { call, lease, source: Box::new(source) }),
            Err(_) => Err(LeaseError::Silent { call, lease, within: self.within }),
        }
    }
}
