//! CtlFamily: a group of tables that are written and read together.

#![allow(
    unreachable_pub,
    reason = "KubeSchema copies each struct, with its `pub`, into a function"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::core::{ParseExpressionError, Selector, SelectorExt};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{Limits, WriterLimit};
use crate::{DeletionPolicy, name, schema};

/// What a team asks of a family.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ctlstore.dev",
    version = "v1alpha1",
    kind = "CtlFamily",
    plural = "ctlfamilies",
    shortname = "ctlf",
    category = "ctlstore",
    status = "CtlFamilyStatus",
    derive = "PartialEq",
    doc = "A group of tables that are written and read together: one atomic batch may change rows in several of them. CtlTables refer to it by name.",
    validation = Rule::new(name::object_rule(30)).message(name::object_message("CtlFamily", 30).as_str()),
    printcolumn(name = "SQL Name", type_ = "string", json_path = ".status.sqlName", description = "The family's name in SQL"),
    printcolumn(name = "Tables", type_ = "integer", json_path = ".status.tableCount", description = "How many CtlTables refer to it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status", description = "Whether tables can be added"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", description = "Why, in a word", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", description = "Why, for people", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when it is there"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) == has(oldSelf.name)").message("name can be neither added nor dropped, create a new family instead").reason(Reason::FieldValueForbidden).field_path(".name"))]
pub struct CtlFamilySpec {
    /// The family's name in SQL, for names that an object cannot have. Fixed for good. Without it, it is the object's name
    /// with `_` for `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 30))]
    #[x_kube(
        validation = name::FAMILY,
        validation = Rule::new("self == oldSelf").message("name cannot be changed, create a new family instead").reason(Reason::FieldValueForbidden),
    )]
    pub name: Option<String>,
    /// Which namespaces may add tables to the family. Without it, all may.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    #[allow(missing_docs, reason = "the type's text describes it, here and in the schema")]
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Limits of the family's tables that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_defaults: Option<Limits>,
    /// How many rows single writers may write. A writer's limit holds in all families, so one CtlFamily may set it; it wins
    /// over a limit set over HTTP, and goes with this entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["writer".to_owned()]))]
    pub writer_limits: Vec<WriterLimit>,
}

/// Which namespaces may add tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.from == 'Selector') == has(self.selector)", "selector goes with from: Selector, and only with it"))]
pub struct AllowedNamespaces {
    #[allow(missing_docs, reason = "the type's text describes it, here and in the schema")]
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Labels of the namespaces that may, with `from: Selector`. An empty selector means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
}

// See DeletionPolicy for why the variants have no text.
/// `All`: every namespace may. `Selector`: those whose labels match `selector`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "documented variants would split the schema's enum")]
pub enum NamespacesFrom {
    #[default]
    All,
    Selector,
}

/// What the operator has made of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CtlFamilyStatus {
    /// The generation of the spec that all of this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// `Ready` sums up `Accepted` (the spec is legal) and `Programmed` (the family is in the database). `Reconciling` and
    /// `Stalled` are there only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The family's name in SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 30))]
    pub sql_name: Option<String>,
    /// How many CtlTables refer to the family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub table_count: Option<i64>,
}

impl CtlFamily {
    /// The family's name in SQL: `spec.name`, else the object's name with `_` for `-`. Not checked.
    #[must_use]
    pub fn sql_name(&self) -> String {
        name::sql_name(self.spec.name.as_deref(), self.metadata.name.as_deref())
    }
}

impl AllowedNamespaces {
    /// May a namespace with these labels add tables?
    ///
    /// # Errors
    /// When the selector makes no sense (the API server checks its shape, not its meaning).
    pub fn allow(&self, labels: &BTreeMap<String, String>) -> Result<bool, ParseExpressionError> {
        match (self.from, &self.selector) {
            (NamespacesFrom::All, _) => Ok(true),
            (NamespacesFrom::Selector, None) => Ok(false),
            (NamespacesFrom::Selector, Some(selector)) => {
                Ok(Selector::try_from(selector.clone())?.matches(labels))
            }
        }
    }
}
