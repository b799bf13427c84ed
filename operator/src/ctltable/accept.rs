//! Decides whether a table's declaration is legal, as far as objects tell. Pure: no client, no clock.
//!
//! It is the only door from the text of a CtlTable to checked names and types; nobody behind it looks at the spec.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::condition::Reason;
use crds::{CtlFamily, CtlTable, DeletionPolicy, Limits};
use ctldb::{Deletion, SizeLimit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use ledger::{LdbTable, TableName, TableSchema};

use crate::ctlfamily;
use crate::precedence::{full_name, goes_before};
use crate::refusal::Refusal;
use crate::spec;
use crate::table_schema::table_schema;

/// What other objects tell about a table.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// The table.
    pub(crate) table: Arc<CtlTable>,
    /// The labels of its namespace.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its family, if that exists.
    pub(crate) family: Option<ctlfamily::Declared>,
    /// Other tables that want the same name in SQL.
    pub(crate) rivals: Vec<Rival>,
}

/// Another table that wants the same name in SQL.
#[derive(Debug, Clone)]
pub(crate) struct Rival {
    /// The other table.
    pub(crate) table: Arc<CtlTable>,
    /// The labels of its namespace: one that may not add tables to the family takes no name away.
    pub(crate) labels: BTreeMap<String, String>,
}

/// A declaration that is legal by itself and among the other objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The table as it shall be.
    pub(crate) schema: TableSchema,
    /// How large it may become.
    pub(crate) limit: Option<SizeLimit>,
    /// What becomes of it when its object goes.
    pub(crate) deletion: Deletion,
    /// Its family is being deleted: what is there stays, nothing new comes.
    pub(crate) family_ends: bool,
    /// The user has confirmed what this generation of the object asks for.
    pub(crate) confirmed: bool,
}

/// Is the declaration legal, as far as objects tell?
///
/// # Errors
/// Why not; then nothing is asked of the database.
pub(crate) fn accept(declared: &Declared) -> Result<Accepted, Refusal> {
    let Declared { table, labels, family, rivals } = declared;
    let wanted = &table.spec.family_ref.name;
    let Some(family) = family else {
        let message = format!("CtlFamily {wanted:?} does not exist, apply it");
        return Err(Refusal::accepted(Reason::FamilyNotFound, message));
    };
    let family_name = ready_family(family)?;
    if !allows(&family.family, labels)? {
        let namespace = table.namespace().unwrap_or_default();
        let message = format!(
            "CtlFamily {wanted:?} does not let namespace {namespace:?} add tables: ask its owners to widen spec.allowedNamespaces"
        );
        return Err(Refusal::accepted(Reason::NamespaceNotAllowed, message));
    }
    if let Some(broken) = spec::table(table).into_iter().next() {
        return Err(Refusal::accepted(Reason::InvalidSpec, broken.to_string()));
    }
    let name = LdbTable::new(family_name, parse_table(table)?)
        .map_err(|error| Refusal::accepted(Reason::NameTooLong, error.to_string()))?;
    let schema = table_schema(name, table)
        .map_err(|error| Refusal::accepted(Reason::InvalidSpec, error.to_string()))?;
    schema
        .check_width()
        .map_err(|error| Refusal::accepted(Reason::TableTooWide, error.to_string()))?;
    no_older_rival(schema.table(), table, &family.family, rivals)?;
    Ok(Accepted {
        limit: limit(table.spec.limits.as_ref(), family.family.spec.table_defaults.as_ref())?,
        deletion: deletion(table.spec.deletion_policy),
        family_ends: family.family.meta().deletion_timestamp.is_some(),
        confirmed: is_confirmed(table.meta()),
        schema,
    })
}

/// The table's name in SQL, if its declaration has one; asks for nothing else to be legal.
pub(crate) fn sql_name(table: &CtlTable, family: &CtlFamily) -> Option<LdbTable> {
    let family = ledger::FamilyName::parse(&family.sql_name()).ok()?;
    LdbTable::new(family, TableName::parse(&table.sql_name()).ok()?).ok()
}

/// Does the object's annotation name its present generation? A confirmation of an earlier spec confirms nothing.
pub(crate) fn is_confirmed(meta: &ObjectMeta) -> bool {
    let said = meta.annotations.as_ref().and_then(|all| all.get(crds::CONFIRM_CHANGES));
    match (said, meta.generation) {
        (Some(said), Some(generation)) => said.trim() == generation.to_string(),
        (None, _) | (_, None) => false,
    }
}

fn ready_family(family: &ctlfamily::Declared) -> Result<ledger::FamilyName, Refusal> {
    let object = full_name(family.family.meta());
    let accepted =
        ctlfamily::accept(family).map_err(|Refusal { about: _, reason: _, message }| {
            let message = format!("CtlFamily {object:?} is not accepted: {message}");
            Refusal::accepted(Reason::FamilyNotReady, message)
        })?;
    Ok(accepted.name)
}

fn allows(family: &CtlFamily, labels: &BTreeMap<String, String>) -> Result<bool, Refusal> {
    family.spec.allowed_namespaces.allow(labels).map_err(|error| {
        let object = full_name(family.meta());
        let message = format!(
            "the selector in spec.allowedNamespaces of CtlFamily {object:?} makes no sense, correct it: {error}"
        );
        Refusal::accepted(Reason::FamilyNotReady, message)
    })
}

fn parse_table(table: &CtlTable) -> Result<TableName, Refusal> {
    TableName::parse(&table.sql_name())
        .map_err(|error| Refusal::accepted(Reason::InvalidSpec, error.to_string()))
}

fn no_older_rival(
    name: &LdbTable,
    table: &CtlTable,
    family: &CtlFamily,
    rivals: &[Rival],
) -> Result<(), Refusal> {
    let older = rivals.iter().find(|rival| {
        goes_before(rival.table.meta(), table.meta()) && allows(family, &rival.labels) == Ok(true)
    });
    let Some(Rival { table: winner, labels: _ }) = older else { return Ok(()) };
    let message = format!(
        "CtlTable {:?} is older and has the name {name} in SQL: choose another spec.name",
        full_name(winner.meta()),
    );
    Err(Refusal::accepted(Reason::NameConflict, message))
}

/// What the table says, else what its family says, size by size.
fn limit(own: Option<&Limits>, family: Option<&Limits>) -> Result<Option<SizeLimit>, Refusal> {
    let size =
        |pick: fn(&Limits) -> Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity>| {
            let text = own.and_then(pick).or_else(|| family.and_then(pick));
            text.map(crds::limits::bytes)
                .transpose()
                .map_err(|error| Refusal::accepted(Reason::InvalidSpec, error.to_string()))
        };
    let (max, warn) =
        (size(|limits| limits.max_size.as_ref())?, size(|limits| limits.warn_size.as_ref())?);
    // ctldb keeps signed numbers.
    let largest = i64::MAX.unsigned_abs();
    Ok(match (max.map(|max| max.min(largest)), warn) {
        (None, None) => None,
        (None, Some(warn)) => Some(SizeLimit { max_bytes: largest, warn_bytes: warn.min(largest) }),
        (Some(max), warn) => {
            Some(SizeLimit { max_bytes: max, warn_bytes: warn.unwrap_or(max).min(max) })
        }
    })
}

fn deletion(policy: DeletionPolicy) -> Deletion {
    match policy {
        DeletionPolicy::Retain => Deletion::Retain,
        DeletionPolicy::Delete => Deletion::Delete,
    }
}

#[cfg(test)]
mod tests;
