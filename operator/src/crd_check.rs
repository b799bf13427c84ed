//! Do the CRDs in the cluster have the fields that we need? The API server drops what it does not know, so an operator
//! that is newer than the CRDs would see half of what users declare. It waits, not ready, and says so.

use std::time::Duration;

use crds::definition;
use daemon::log::Chain;
use daemon::ready::Gate;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::CancellationToken;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// The longest wait for one answer.
const CALL: Duration = Duration::from_secs(10);

/// Why the operator does not start to work.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("the CRD {0} is not installed, apply the CRDs of this release")]
    Missing(String),
    #[error("the CRD {crd} is too old, apply the CRDs of this release: it lacks {}", fields.join(", "))]
    Old { crd: String, fields: Vec<String> },
    #[error(
        "cannot read the CRD {crd}, the operator needs the right to get customresourcedefinitions"
    )]
    Call { crd: String, source: Box<kube::Error> },
    #[error("no answer within {seconds} s to read the CRD {crd}")]
    Silent { crd: String, seconds: u64 },
}

/// Returns true when the CRDs fit, false when `stop` came first.
pub(crate) async fn wait_until_fit(client: &Client, gate: &Gate, stop: &CancellationToken) -> bool {
    let mut said = String::new();
    loop {
        match check(client).await {
            Ok(()) => {
                gate.set(true, "");
                return true;
            }
            Err(unfit) => {
                let text = unfit.to_string();
                if text != said {
                    tracing::error!(error = %Chain(&unfit), "the CRDs do not fit, the operator waits for others");
                }
                gate.set(false, text.as_str());
                said = text;
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn check(client: &Client) -> Result<(), Unfit> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for ours in definition::all() {
        let crd = ours.name_any();
        let answer = tokio::time::timeout(CALL, api.get_opt(&crd)).await;
        let answer =
            answer.map_err(|_| Unfit::Silent { crd: crd.clone(), seconds: CALL.as_secs() })?;
        let found = answer
            .map_err(|source| Unfit::Call { crd: crd.clone(), source: Box::new(source) })?
            .ok_or_else(|| Unfit::Missing(crd.clone()))?;
        let fields = definition::missing_fields(&found, &ours);
        if !fields.is_empty() {
            return Err(Unfit::Old { crd, fields });
        }
    }
    Ok(())
}
