//! CtlTable: one table, declared where its owners work.

#![allow(
    unreachable_pub,
    reason = "KubeSchema copies each struct, with its `pub`, into a function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::{DeletionPolicy, name, schema};

/// MySQL takes no longer identifier than 64 characters. A family that has a `name` of its own is checked by the operator.
const TOGETHER: (&str, &str) = (
    "size(self.spec.familyRef.name) + 3 + size(has(self.spec.name) ? self.spec.name : self.metadata.name) <= 64",
    "family and table name may have 61 characters together, shorten one or set a short name",
);

// Columns are compared by name on their parent: rules on the items would depend on how items are matched up.
const NOT_REMOVED: &str = "oldSelf.columns.all(o, self.columns.exists(c, c.name == o.name))";
const NOT_RETYPED: &str =
    "oldSelf.columns.all(o, !self.columns.exists(c, c.name == o.name && c.type != o.type))";

const KEY_EXISTS: &str = "self.keyColumns.all(k, self.columns.exists(c, c.name == k))";
const KEY_TYPES: &str = "self.keyColumns.all(k, !self.columns.exists(c, c.name == k && !(c.type in ['String', 'Integer', 'ByteString'])))";
const KEY_ONCE: &str = "self.keyColumns.all(k, self.keyColumns.exists_one(l, l == k))";

/// What a team asks of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ctlstore.dev",
    version = "v1alpha1",
    kind = "CtlTable",
    plural = "ctltables",
    namespaced,
    shortname = "ctlt",
    category = "ctlstore",
    status = "CtlTableStatus",
    derive = "PartialEq",
    doc = "A table of control data. It is created in the database and the ledger, and a moment later in the file on every node; its rows are written through the executive's HTTP API.",
    selectable = ".spec.familyRef.name",
    validation = Rule::new(name::object_rule(50)).message(name::object_message("CtlTable", 50).as_str()),
    validation = TOGETHER,
    printcolumn(name = "Family", type_ = "string", json_path = ".spec.familyRef.name", description = "The family it belongs to"),
    printcolumn(name = "SQL Name", type_ = "string", json_path = ".status.sqlName", description = "The table's name in the file on every node"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status", description = "Whether rows can be written"),
    printcolumn(name = "Seq", type_ = "integer", json_path = ".status.schemaSeq", description = "The ledger entry that made it what it is"),
    printcolumn(name = "Propagated", type_ = "string", json_path = ".status.conditions[?(@.type=='Propagated')].status", description = "Whether the nodes have it as it is declared", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", description = "Why, in a word", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", description = "Why, for people", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when it is there"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.name) == has(oldSelf.name)").message("name can be neither added nor dropped, create a new table instead").reason(Reason::FieldValueForbidden).field_path(".name"),
    validation = Rule::new(NOT_REMOVED).message("a column cannot be removed, keep it or create a new table").reason(Reason::FieldValueForbidden).field_path(".columns"),
    validation = Rule::new(NOT_RETYPED).message("the type of a column cannot be changed, add a new column instead").reason(Reason::FieldValueForbidden).field_path(".columns"),
    validation = Rule::new(KEY_EXISTS).message("keyColumns must name columns of the table").field_path(".keyColumns"),
    validation = Rule::new(KEY_TYPES).message("a key column must be of type String, Integer or ByteString").field_path(".keyColumns"),
    validation = Rule::new(KEY_ONCE).message("keyColumns names a column twice").field_path(".keyColumns"),
)]
pub struct CtlTableSpec {
    /// The family that the table belongs to. Fixed for good.
    #[x_kube(validation = Rule::new("self == oldSelf").message("familyRef cannot be changed, create a new table instead").reason(Reason::FieldValueForbidden))]
    pub family_ref: FamilyRef,
    /// The table's name in SQL, for names that an object cannot have. Fixed for good. Without it, it is the object's name
    /// with `_` for `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 50))]
    #[x_kube(
        validation = name::TABLE,
        validation = Rule::new("self == oldSelf").message("name cannot be changed, create a new table instead").reason(Reason::FieldValueForbidden),
    )]
    pub name: Option<String>,
    /// The table's columns, those of the key included. More may be added later, anywhere in the list; none can be removed or
    /// change its type.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub columns: Vec<Column>,
    /// The names of the columns that make up the primary key, in the order in which readers can ask for rows by a part of the
    /// key. Fixed for good.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 64)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self == oldSelf").message("keyColumns cannot be changed, create a new table instead").reason(Reason::FieldValueForbidden),
    )]
    pub key_columns: Vec<String>,
    #[allow(missing_docs, reason = "the type's text describes it, here and in the schema")]
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How large the table may grow. Without it, what the family says, else what the executive was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Names a CtlFamily.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FamilyRef {
    /// The name of the CtlFamily object.
    #[schemars(length(min = 3, max = 30))]
    pub name: String,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// The column's name. Put names such as `n`, `y`, `on`, `off`, `yes` and `no` in quotes: YAML reads them as true or false.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = name::COLUMN)]
    pub name: String,
    #[allow(missing_docs, reason = "the type's text describes it, here and in the schema")]
    #[serde(rename = "type")]
    pub type_: ColumnType,
}

// See DeletionPolicy for why the variants have no text.
/// What the column holds. `String`: text of up to 191 characters. `Integer`: a signed 64-bit number. `Decimal`: a 64-bit
/// floating-point number. `Text`: long text. `Binary`: bytes. `ByteString`: up to 255 bytes. Key columns are `String`,
/// `Integer` or `ByteString`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "documented variants would split the schema's enum")]
pub enum ColumnType {
    String,
    Integer,
    Decimal,
    Text,
    Binary,
    ByteString,
}

/// What the operator has made of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CtlTableStatus {
    /// The generation of the spec that all of this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// `Ready` sums up `Accepted` (the spec is legal) and `Programmed` (the table is in the database and the ledger).
    /// `Propagated` says that the nodes have it (99 % of them, unless the operator was told otherwise) and never holds up `Ready`. `SizeWarning` (the table outgrows its limits),
    /// `Reconciling` and `Stalled` are there only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The table's name in the file on every node: `family___table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub sql_name: Option<String>,
    /// The sequence of the ledger entry that made the table what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub schema_seq: Option<i64>,
    /// How far the table has come on its way to the nodes. Brought up to date at most every 30 seconds, and left as it was
    /// once `Propagated` is true: rows that are written and nodes that come and go change no status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Propagation>,
}

/// How far a table has come on its way to the nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Propagation {
    /// How many nodes have the table as it is declared.
    #[schemars(range(min = 0))]
    pub ready: i64,
    /// How many nodes there are, as far as their agents are ready.
    #[schemars(range(min = 0))]
    pub desired: i64,
    /// The position of the node that is furthest behind; `schemaSeq` when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_seq: Option<i64>,
    /// The last `schemaSeq` that came to the nodes. `Propagated` stays true for as long as `schemaSeq` is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub reached_seq: Option<i64>,
}

impl CtlTable {
    /// The table's own name in SQL, without its family: `spec.name`, else the object's name with `_` for `-`. Not checked.
    #[must_use]
    pub fn sql_name(&self) -> String {
        name::sql_name(self.spec.name.as_deref(), self.metadata.name.as_deref())
    }
}
