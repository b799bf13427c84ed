//! Answers that go to a Kubernetes API server.
//!
//! A status is written whole, by server-side apply, under a field manager of its own and without a resourceVersion: it
//! cannot conflict with anybody, and what we no longer say goes away. The uid in the patch keeps it from an object that
//! took the name of one that is gone.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use crds::{CtlFamily, CtlTable, FINALIZER};
use daemon::log::Chain;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::objects::{Kind, MANAGER, News, ObjectId, Objects, ObjectsError};

/// The field manager of statuses.
const STATUS_MANAGER: &str = "ctlstore-operator-status";

/// The longest wait for one answer.
const CALL: Duration = Duration::from_secs(10);

/// The API server.
pub(crate) struct ApiServer {
    client: Client,
    recorder: Recorder,
    metrics: Metrics,
}

impl ApiServer {
    /// Events say that `identity` reports them.
    pub(crate) fn new(client: Client, identity: &str, metrics: Metrics) -> Self {
        let reporter = Reporter {
            controller: "ctlstore-operator".into(),
            instance: Some(identity.to_owned()),
        };
        Self { recorder: Recorder::new(client.clone(), reporter), client, metrics }
    }

    fn api(&self, object: &ObjectId) -> Api<DynamicObject> {
        let resource = resource(object.kind);
        match &object.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// The object, if it is still the same.
    async fn get(&self, object: &ObjectId) -> Result<Option<DynamicObject>, ObjectsError> {
        let api = self.api(object);
        let found = call("read", object, api.get_opt(&object.name)).await?;
        Ok(found.filter(|found| found.uid().as_deref() == Some(&object.uid)))
    }
}

#[async_trait]
impl Objects for ApiServer {
    async fn status(&self, object: &ObjectId) -> Result<Option<Value>, ObjectsError> {
        let found = self.get(object).await?;
        Ok(found.map(|mut found| found.data["status"].take()))
    }

    async fn set_status(&self, object: &ObjectId, status: &Value) -> Result<(), ObjectsError> {
        let resource = resource(object.kind);
        let patch = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": object.name, "uid": object.uid},
            "status": status,
        });
        let (api, params) = (self.api(object), PatchParams::apply(STATUS_MANAGER).force());
        let patch = Patch::Apply(&patch);
        let patched =
            call("write the status of", object, api.patch_status(&object.name, &params, &patch));
        gone_is_done(patched.await)
    }

    async fn set_protected(&self, object: &ObjectId, protected: bool) -> Result<(), ObjectsError> {
        // The list has other people's finalizers too, and ours may have been put there by somebody else. So: read it,
        // and write it on condition that nobody else did.
        let Some(found) = self.get(object).await? else { return Ok(()) };
        let mut finalizers = found.finalizers().to_vec();
        if finalizers.iter().any(|finalizer| finalizer == FINALIZER) == protected {
            return Ok(());
        }
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        if protected {
            finalizers.push(FINALIZER.to_owned());
        }
        let patch = json!({"metadata": {
            "resourceVersion": found.resource_version(), "finalizers": finalizers,
        }});
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let (api, patch) = (self.api(object), Patch::Merge(&patch));
        let patched =
            call("set the finalizer of", object, api.patch(&object.name, &params, &patch));
        gone_is_done(patched.await)
    }

    async fn exists(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<bool, ObjectsError> {
        let object = ObjectId {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            uid: String::new(),
        };
        Ok(call("read", &object, self.api(&object).get_opt(name)).await?.is_some())
    }

    async fn tell(&self, object: &ObjectId, news: &News) {
        let News { warning, reason, note } = news;
        let event = Event {
            type_: if *warning { EventType::Warning } else { EventType::Normal },
            reason: reason.clone(),
            note: Some(note.clone()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let resource = resource(object.kind);
        let regarding = ObjectReference {
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            namespace: object.namespace.clone(),
            name: Some(object.name.clone()),
            uid: Some(object.uid.clone()),
            ..ObjectReference::default()
        };
        let publish = self.recorder.publish(&event, &regarding);
        if let Err(error) = call("tell news of", object, publish).await {
            self.metrics.event_lost();
            tracing::warn!(error = %Chain(&error), "an event is lost");
        }
    }
}

/// A client of the cluster that the kubeconfig names, else of the one that the surroundings do.
pub(crate) async fn client(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let config = match kubeconfig {
        Some(file) => {
            let broken = |source| ClientError::Kubeconfig { file: file.to_owned(), source };
            let parsed = Kubeconfig::read_from(file).map_err(broken)?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(parsed, &options).await.map_err(broken)?
        }
        None => kube::Config::infer().await.map_err(ClientError::Infer)?,
    };
    Client::try_from(config).map_err(|source| ClientError::Client(Box::new(source)))
}

/// Why there is no client of the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the kubeconfig {} leads to no cluster", file.display())]
    Kubeconfig { file: PathBuf, source: KubeconfigError },
    #[error("no cluster was found, name one with --kubeconfig")]
    Infer(#[source] InferConfigError),
    #[error("cannot make a client of the cluster")]
    Client(#[source] Box<kube::Error>),
}

fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::Family => ApiResource::erase::<CtlFamily>(&()),
        Kind::Table => ApiResource::erase::<CtlTable>(&()),
    }
}

async fn call<T>(
    call: &'static str,
    object: &ObjectId,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, ObjectsError> {
    let answer = tokio::time::timeout(CALL, answer).await;
    let object = || object.clone();
    let seconds = CALL.as_secs();
    answer
        .map_err(|_| ObjectsError::Silent { call, object: object(), seconds })?
        .map_err(|source| ObjectsError::Call { call, object: object(), source: Box::new(source) })
}

fn gone_is_done<T>(answer: Result<T, ObjectsError>) -> Result<(), ObjectsError> {
    match answer {
        Err(ObjectsError::Call { source, .. }) if is_gone(&source) => Ok(()),
        other => other.map(|_| ()),
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
