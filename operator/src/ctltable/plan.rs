//! Decides what to do in the database for an accepted table. Pure: no client, no clock.

use crds::condition::Reason;
use ctldb::{Live, Owner, OwnerId, SizeLimit, TableRecord};
use ledger::{Change, Column, ColumnName, LdbTable, Seq, TableSchema, diff};

use crate::ctltable::accept::Accepted;
use crate::refusal::Refusal;

/// What the database tells about a table.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The registry's record of it.
    pub(crate) record: Option<TableRecord>,
    /// The table as it really is.
    pub(crate) live: Live,
    /// The limit that is set.
    pub(crate) limit: Option<SizeLimit>,
    /// Its family is in the database.
    pub(crate) family: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Carry out what somebody intended and did not finish; then look again.
    FinishIntents,
    /// Put the family into the database.
    CreateFamily,
    /// Create the table, owned by us.
    Create(TableSchema),
    /// Add columns at its end.
    AddColumns(Vec<Column>),
    /// Enter us among the owners, with our present deletion policy.
    Claim,
    /// Set the limit of its size, or remove it.
    Limit(Option<SizeLimit>),
}

/// What is to be done, in this order. Nothing when it is as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The table.
    pub(crate) table: LdbTable,
    /// We, as the registry shall know us.
    pub(crate) owner: Owner,
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// The limit that it has after the steps.
    pub(crate) limit: Option<SizeLimit>,
    /// The entry that made the table what it is, before the steps.
    pub(crate) schema_seq: Option<Seq>,
}

impl Plan {
    /// Does it create a table or add columns? Those are counted, other steps are not.
    pub(crate) fn grows(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Create(_) | Step::AddColumns(_) => true,
            Step::FinishIntents | Step::CreateFamily | Step::Claim | Step::Limit(_) => false,
        })
    }
}

/// What must be done so that the database follows the declaration.
///
/// # Errors
/// It cannot be made to: because rows would be lost or read otherwise, or because of another owner.
pub(crate) fn plan(accepted: Accepted, me: &OwnerId, seen: &Seen) -> Result<Plan, Refusal> {
    let Accepted { schema, limit, deletion, family_ends, confirmed } = accepted;
    let owner = Owner { id: me.clone(), deletion };
    let mut plan =
        Plan { table: schema.table().clone(), owner, steps: Vec::new(), limit, schema_seq: None };
    let Some(record) = &seen.record else {
        not_somebody_elses(schema.table(), &seen.live)?;
        if family_ends {
            let family = schema.table().family();
            let message = format!("family {family} is being deleted, choose another family");
            return Err(Refusal::accepted(Reason::FamilyNotReady, message));
        }
        if !seen.family {
            plan.steps.push(Step::CreateFamily);
        }
        plan.steps.push(Step::Create(schema));
        if seen.limit != limit {
            plan.steps.push(Step::Limit(limit));
        }
        return Ok(plan);
    };
    plan.schema_seq = Some(record.schema_seq);
    if record.intent.is_some() {
        plan.steps.push(Step::FinishIntents);
        return Ok(plan);
    }
    not_drifted(&record.schema, &seen.live)?;
    let added = columns_to_add(&schema, record, me, confirmed)?;
    if !record.owners.contains(&plan.owner) {
        plan.steps.push(Step::Claim);
    }
    plan.steps.extend(added.map(Step::AddColumns));
    if seen.limit != limit {
        plan.steps.push(Step::Limit(limit));
    }
    Ok(plan)
}

/// The names of owners in other clusters, as messages show them.
pub(crate) fn foreign_owners(owners: &[Owner], me: &OwnerId) -> Vec<String> {
    let (OwnerId::Object { cluster: home, .. }, owners) = (me, owners) else { return Vec::new() };
    let foreign = owners.iter().filter_map(|owner| match &owner.id {
        OwnerId::Object { cluster, namespace, name } if cluster != home => {
            Some(format!("CtlTable {namespace}/{name} of cluster {cluster:?}"))
        }
        // Two objects of one cluster are told apart by their age, before anybody asks the database. The executive
        // declares nothing that could differ.
        OwnerId::Object { .. } | OwnerId::Family { .. } | OwnerId::Executive => None,
    });
    foreign.collect()
}

fn columns_to_add(
    wanted: &TableSchema,
    record: &TableRecord,
    me: &OwnerId,
    confirmed: bool,
) -> Result<Option<Vec<Column>>, Refusal> {
    let others = foreign_owners(&record.owners, me);
    let change = diff(Some(&record.schema), wanted).map_err(|refusal| match refusal {
        ledger::Refusal::TooWide(error) => {
            Refusal::accepted(Reason::TableTooWide, error.to_string())
        }
        refusal if others.is_empty() => {
            let message = format!("table {} is there already: {refusal}", wanted.table());
            Refusal::accepted(Reason::SchemaConflict, message)
        }
        refusal => owner_conflict(wanted.table(), &others, &refusal.to_string()),
    })?;
    match change {
        Change::Nothing => Ok(None),
        Change::AddColumns(columns) if others.is_empty() || confirmed => Ok(Some(columns)),
        Change::AddColumns(columns) => {
            let names = names(columns.iter().map(|column| &column.name));
            let what = format!(
                "this declaration adds {names}: add it to theirs too, and confirm here with the annotation {}=GENERATION",
                crds::CONFIRM_CHANGES,
            );
            Err(owner_conflict(wanted.table(), &others, &what))
        }
        Change::Create(_) => unreachable!("BUG: diff() of a table that is there creates none"),
    }
}

fn owner_conflict(table: &LdbTable, others: &[String], what: &str) -> Refusal {
    let message = format!("table {table} is also owned by {}, and {what}", others.join(", "));
    Refusal::programmed(Reason::OwnerConflict, message)
}

fn not_somebody_elses(table: &LdbTable, live: &Live) -> Result<(), Refusal> {
    match live {
        Live::Absent => Ok(()),
        Live::Table(_) | Live::Foreign { .. } => {
            let message = format!(
                "the database has a table {table} that ctlstore did not make: rename it, or choose another spec.name"
            );
            Err(Refusal::accepted(Reason::SchemaConflict, message))
        }
    }
}

/// The order of columns is nobody's business, everything else is.
fn not_drifted(record: &TableSchema, live: &Live) -> Result<(), Refusal> {
    let table = record.table();
    let what = match live {
        Live::Absent => "it is gone from the database".to_owned(),
        Live::Foreign { what } => what.clone(),
        Live::Table(live) => match difference(record, live) {
            None => return Ok(()),
            Some(what) => what,
        },
    };
    let message = format!(
        "table {table} was changed behind ctlstore's back: {what}; undo that, nothing is written to the table until then"
    );
    Err(Refusal::programmed(Reason::Drifted, message))
}

fn difference(record: &TableSchema, live: &TableSchema) -> Option<String> {
    let lacks = |some: &TableSchema, others: &TableSchema| {
        let missing = some.columns().iter().filter(|column| others.column(&column.name).is_none());
        names(missing.map(|column| &column.name))
    };
    let (missing, extra) = (lacks(record, live), lacks(live, record));
    if !missing.is_empty() {
        return Some(format!("it has lost {missing}"));
    }
    if !extra.is_empty() {
        return Some(format!("it has got {extra}"));
    }
    if record.key() != live.key() {
        return Some(format!("its key has become ({})", list(live.key())));
    }
    let retyped = record.columns().iter().find_map(|column| {
        let live = live.column(&column.name)?;
        (live.column_type != column.column_type).then_some(live)
    });
    retyped.map(|live| format!("column {:?} has become {}", live.name.as_str(), live.column_type))
}

fn names<'a>(columns: impl Iterator<Item = &'a ColumnName>) -> String {
    let names: Vec<_> = columns.map(|name| format!("{:?}", name.as_str())).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("column {one}"),
        many => format!("columns {}", many.join(", ")),
    }
}

fn list(names: &[ColumnName]) -> String {
    names.iter().map(ColumnName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
