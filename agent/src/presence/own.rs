//! Writes this node's Lease.
//!
//! A merge patch without a condition: nobody else writes what stands there. Writes go one after the other, so an old one
//! never comes in after a new one.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crds::presence::{NodeReport, RebuildClaim, lease_name};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::presence::Cluster;

/// The longest wait for one answer.
const CALL: Duration = Duration::from_secs(10);

const MANAGER: &str = "ctlstore-agent";

/// A Lease could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PresenceError {
    #[error("cannot {call} {what}")]
    Call { call: &'static str, what: String, source: Box<kube::Error> },
    #[error("no answer within {} s to {call} {what}", CALL.as_secs())]
    Silent { call: &'static str, what: String },
}

impl PresenceError {
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Call { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 404))
    }

    /// How long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Duration {
        let seconds = match self {
            Self::Call { source, .. } => match &**source {
                kube::Error::Api(status) => {
                    status.details.as_ref().map_or(0, |details| details.retry_after_seconds)
                }
                _ => 0,
            },
            Self::Silent { .. } => 0,
        };
        Duration::from_secs(seconds.into())
    }
}

/// Every call ends in time.
pub(super) async fn answered<T>(
    call: &'static str,
    what: impl Into<String>,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, PresenceError> {
    let what = what.into();
    match tokio::time::timeout(CALL, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(PresenceError::Call { call, what, source: source.into() }),
        Err(_) => Err(PresenceError::Silent { call, what }),
    }
}

/// This node's Lease.
pub(super) struct Own {
    cluster: Cluster,
    interval: Duration,
    report: Box<dyn Fn() -> NodeReport + Send + Sync>,
    /// The claim that was written last. Locked while the Lease is written.
    claim: Mutex<Option<RebuildClaim>>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Own {
    pub(super) fn new(
        cluster: Cluster,
        interval: Duration,
        report: Box<dyn Fn() -> NodeReport + Send + Sync>,
    ) -> Self {
        Self { cluster, interval, report, claim: Mutex::default() }
    }

    /// The name of the Lease.
    pub(super) fn lease(&self) -> String {
        lease_name(&self.cluster.node)
    }

    fn what(&self) -> String {
        format!("lease {}/{}", self.cluster.namespace, self.lease())
    }

    /// All Leases beside it.
    pub(super) fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace)
    }

    /// Writes how the node is now.
    pub(super) async fn renew(&self) -> Result<(), PresenceError> {
        let claim = self.claim.lock().await;
        self.write(claim.as_ref()).await
    }

    /// What was claimed last.
    pub(super) async fn claimed(&self) -> Option<RebuildClaim> {
        self.claim.lock().await.clone()
    }

    /// Writes another claim, or takes it back. One that could not be written is none; one that could not be taken back
    /// goes with the next renewal.
    pub(super) async fn claim(&self, claim: Option<RebuildClaim>) -> Result<(), PresenceError> {
        let mut held = self.claim.lock().await;
        // Also if we are cut off while we write.
        *held = None;
        self.write(claim.as_ref()).await?;
        *held = claim;
        Ok(())
    }

    async fn write(&self, claim: Option<&RebuildClaim>) -> Result<(), PresenceError> {
        let report = NodeReport { claim: claim.cloned(), ..(self.report)() };
        let name = self.lease();
        let lease = self.body(&name, &report);
        let params =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let (api, patch) = (self.leases(), Patch::Merge(&lease));
        let patched = answered("renew", self.what(), api.patch_metadata(&name, &params, &patch));
        match patched.await {
            Err(error) if error.is_not_found() => self.create(lease).await,
            other => other.map(|_| ()),
        }
    }

    async fn create(&self, mut lease: Value) -> Result<(), PresenceError> {
        // In a patch a null takes something away; here there is nothing yet.
        for part in ["labels", "annotations"] {
            if let Some(Value::Object(fields)) = lease["metadata"].get_mut(part) {
                fields.retain(|_, value| !value.is_null());
            }
        }
        let lease: Lease = serde_json::from_value(lease).expect("BUG: the patch is a whole Lease");
        let params =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        answered("create", self.what(), self.leases().create(&params, &lease)).await.map(|_| ())
    }

    /// The Lease as a merge patch.
    fn body(&self, name: &str, report: &NodeReport) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": name,
                "labels": report.labels(),
                "annotations": report.annotations(),
            },
            "spec": {
                "holderIdentity": self.cluster.pod,
                // Nobody waits for it to expire; it tells people what is usual.
                "leaseDurationSeconds": (self.interval.as_secs() * 3).clamp(1, 86_400),
                "renewTime": MicroTime(Timestamp::now()),
            },
        })
    }
}
