//! A namespace of one test's own, and applying objects as a strict client does.

use std::fmt::Write;

use anyhow::{Context, Result};
use crds::{CtlFamily, CtlTable};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;
use testkit::apiserver::ApiServer;

/// Who applies objects in tests: neither the operator nor kubectl.
const MANAGER: &str = "e2e";

/// A namespace with a random name on the shared API server.
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// A client that may do everything.
    pub client: Client,
    /// The server it is on.
    pub server: &'static ApiServer,
}

impl Namespace {
    /// Makes one, and starts the server if nobody has.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create() -> Result<Self> {
        let server = ApiServer::shared();
        Ok(Self { name: server.create_namespace()?, client: server.client().await?, server })
    }

    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> Api<CtlTable> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// All families: they have no namespace.
    #[must_use]
    pub fn families(&self) -> Api<CtlFamily> {
        Api::all(self.client.clone())
    }

    /// Server-side applies a CtlFamily or CtlTable. Unknown and duplicate fields are errors.
    ///
    /// # Errors
    /// When the API server refuses; its status is in the error.
    ///
    /// # Panics
    /// When the object has no name or another kind.
    pub async fn apply(&self, object: &Value) -> Result<DynamicObject, kube::Error> {
        let api: Api<DynamicObject> = match object["kind"].as_str() {
            Some("CtlFamily") => {
                Api::all_with(self.client.clone(), &ApiResource::erase::<CtlFamily>(&()))
            }
            Some("CtlTable") => {
                let resource = ApiResource::erase::<CtlTable>(&());
                Api::namespaced_with(self.client.clone(), &self.name, &resource)
            }
            other => panic!("kind {other:?} is not one of ours"),
        };
        let name = object["metadata"]["name"].as_str().expect("an object to apply has a name");
        let params = PatchParams::apply(MANAGER).force().validation_strict();
        api.patch(name, &params, &Patch::Apply(object)).await
    }

    /// Everything of ours in the namespace as text, with events: for the message of a test that failed.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn dump(&self) -> Result<String> {
        let mut text = String::new();
        for table in self.tables().list(&ListParams::default()).await.context("list tables")? {
            let table = serde_json::to_string_pretty(&table).context("print a table")?;
            writeln!(text, "{table}").context("print a table")?;
        }
        let events = Api::<Event>::namespaced(self.client.clone(), &self.name);
        for event in events.list(&ListParams::default()).await.context("list events")? {
            let about = event.regarding.and_then(|object| object.name).unwrap_or_default();
            let (reason, note) = (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
            writeln!(text, "event on {about}: {reason}: {note}").context("print an event")?;
        }
        Ok(text)
    }
}
