//! All objects, in memory, as the watches last saw them. Reconciles read here and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{CtlFamily, CtlTable};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};

/// The objects that the operator looks at.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    /// All families.
    pub(crate) families: Store<CtlFamily>,
    /// All tables.
    pub(crate) tables: Store<CtlTable>,
    /// All namespaces, for their labels.
    pub(crate) namespaces: Store<Namespace>,
}

/// A watch ended before its first list was complete.
#[derive(Debug, thiserror::Error)]
#[error("the watch of {0} ended before its first list was complete")]
pub(crate) struct NotListed(&'static str);

impl Cache {
    /// Waits until everything was listed once. Before that, absence means nothing.
    pub(crate) async fn ready(&self) -> Result<(), NotListed> {
        let Self { families, tables, namespaces } = self;
        families.wait_until_ready().await.map_err(|_| NotListed("CtlFamilies"))?;
        tables.wait_until_ready().await.map_err(|_| NotListed("CtlTables"))?;
        namespaces.wait_until_ready().await.map_err(|_| NotListed("Namespaces"))
    }

    pub(crate) fn family(&self, name: &str) -> Option<Arc<CtlFamily>> {
        self.families.get(&ObjectRef::new(name))
    }

    pub(crate) fn table(&self, namespace: &str, name: &str) -> Option<Arc<CtlTable>> {
        self.tables.get(&ObjectRef::new(name).within(namespace))
    }

    /// Other families of the same name in SQL.
    pub(crate) fn family_rivals(&self, family: &CtlFamily) -> Vec<Arc<CtlFamily>> {
        let (object, name) = (family.name_any(), family.sql_name());
        self.families.state_filter(|other| other.name_any() != object && other.sql_name() == name)
    }

    /// The tables that refer to a family, by the name of its object.
    pub(crate) fn tables_of(&self, family: &str) -> Vec<Arc<CtlTable>> {
        self.tables.state_filter(|table| table.spec.family_ref.name == family)
    }

    /// Other tables of the same family and the same name in SQL.
    pub(crate) fn table_rivals(&self, table: &CtlTable) -> Vec<Arc<CtlTable>> {
        let (me, name) = (ObjectRef::from(table), table.sql_name());
        self.tables.state_filter(|other| {
            other.spec.family_ref == table.spec.family_ref
                && other.sql_name() == name
                && ObjectRef::from(other) != me
        })
    }

    /// The labels of a namespace, with the one that every namespace has.
    pub(crate) fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let found = self.namespaces.get(&ObjectRef::new(namespace));
        let mut labels = found.map(|namespace| namespace.labels().clone()).unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
        labels
    }
}
