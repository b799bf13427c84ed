//! Where statuses, finalizers and events go: the API server, or a folder of manifests in dev mode.
//!
//! Objects come the other way, as events into a [`crate::feed::Feed`]; a reconcile reads them from the
//! [`crate::cache::Cache`] and has this trait to answer with.

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// The field manager of our finalizers.
pub(crate) const MANAGER: &str = "ctlstore-operator";

/// Which of our resources an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// CtlFamily.
    Family,
    /// CtlTable.
    Table,
}

impl Kind {
    /// As manifests and messages write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Family => "CtlFamily",
            Kind::Table => "CtlTable",
        }
    }
}

/// An object, and not another one that had its name before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace; families have none.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: String,
}

impl ObjectId {
    /// The object that bears this metadata.
    #[must_use]
    pub(crate) fn of(kind: Kind, meta: &ObjectMeta) -> Self {
        Self {
            kind,
            namespace: meta.namespace.clone(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        }
    }

    /// `namespace/name`, or the name alone.
    #[must_use]
    pub(crate) fn full_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Something that happened to an object, told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// Somebody should look at it.
    pub(crate) warning: bool,
    /// The reason of the condition that changed.
    pub(crate) reason: String,
    /// Its message.
    pub(crate) note: String,
}

/// Writing back failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectsError {
    /// The API server refused or could not be reached.
    #[error("cannot {call} {} {}", object.kind.name(), object.full_name())]
    Call {
        /// What was tried.
        call: &'static str,
        /// On which object.
        object: ObjectId,
        /// What the client said.
        source: Box<kube::Error>,
    },
    /// The API server did not answer; the call may or may not have been carried out.
    #[error("no answer within {seconds} s to {call} {} {}", object.kind.name(), object.full_name())]
    Silent {
        /// What was tried.
        call: &'static str,
        /// On which object.
        object: ObjectId,
        /// How long we waited.
        seconds: u64,
    },
}

/// Where the operator's answers go.
#[async_trait]
pub(crate) trait Objects: Send + Sync {
    /// The object's status as it is stored now, past any cache; none when the object is gone or another one bears its
    /// name.
    async fn status(&self, object: &ObjectId) -> Result<Option<Value>, ObjectsError>;

    /// Replaces the object's status. Nothing happens when the object is gone.
    async fn set_status(&self, object: &ObjectId, status: &Value) -> Result<(), ObjectsError>;

    /// Adds or removes our finalizer. Nothing happens when the object is gone.
    async fn set_protected(&self, object: &ObjectId, protected: bool) -> Result<(), ObjectsError>;

    /// Is an object of this namespace and name there, whatever its uid? Asked past any cache.
    async fn exists(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<bool, ObjectsError>;

    /// Tells news about the object. Best effort: it fails in silence.
    async fn tell(&self, object: &ObjectId, news: &News);
}
