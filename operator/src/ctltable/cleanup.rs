//! What becomes of a table whose object is deleted under the policy `Delete`. It also works for objects that never
//! worked: it validates nothing, and what is gone already is done.

use crds::condition::Reason;
use crds::{CtlTable, DeletionPolicy};
use ctldb::{Error, Owner, OwnerId, SchemaChange, SchemaChangeKind, TableRecord};
use kube::{Resource, ResourceExt};
use ledger::LdbTable;

use crate::budget::{Change, Full};
use crate::context::Context;
use crate::ctltable::accept::{is_confirmed, sql_name};
use crate::ctltable::{apply, said, too_many};
use crate::database::DatabaseError;
use crate::refusal::Refusal;

/// What to do before the object may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// Nothing: there is no table of ours.
    LetGo,
    /// Strike us from the owners; the table stays.
    Release,
    /// Drop the table, with all its rows, if these are still its owners.
    Drop(Vec<Owner>),
    /// The object stays, and says what it waits for.
    Blocked(Refusal),
}

/// What to do for `me`. Pure. `counts` says whether another owner is to be reckoned with.
pub(crate) fn decide(
    record: Option<&TableRecord>,
    me: &OwnerId,
    policy: DeletionPolicy,
    allow_drop: bool,
    counts: impl Fn(&Owner) -> bool,
) -> Farewell {
    let Some(record) = record else { return Farewell::LetGo };
    if !record.owners.iter().any(|owner| owner.id == *me) {
        return Farewell::LetGo;
    }
    let shared = record.owners.iter().any(|owner| owner.id != *me && counts(owner));
    match policy {
        DeletionPolicy::Retain => Farewell::Release,
        DeletionPolicy::Delete if shared => Farewell::Release,
        DeletionPolicy::Delete if allow_drop => Farewell::Drop(record.owners.clone()),
        DeletionPolicy::Delete => {
            let message = format!(
                "table {} and all its rows would be dropped, and the operator runs without --allow-drop: start it with the flag, or set spec.deletionPolicy to Retain to keep the table",
                record.schema.table(),
            );
            Farewell::Blocked(Refusal::programmed(Reason::DestructiveChangeBlocked, message))
        }
    }
}

/// Does what must be done before the object may go. The finalizer may be removed after `Ok(None)`.
pub(crate) async fn clean_up(
    table: &CtlTable,
    context: &Context,
) -> Result<Option<Refusal>, DatabaseError> {
    let family = context.cache.family(&table.spec.family_ref.name);
    let Some(name) = table_name(table, family.as_deref()) else { return Ok(None) };
    let me = context.owner(&table.namespace().unwrap_or_default(), &table.name_any());
    let database = &context.database;
    let record = database.ask("read the table", async |ctldb, _| ctldb.table(&name).await).await?;
    let counts = |owner: &Owner| match &owner.id {
        OwnerId::Object { cluster, namespace, name } if *cluster == context.cluster => {
            context.cache.table(namespace, name).is_some()
        }
        OwnerId::Object { .. } | OwnerId::Family { .. } | OwnerId::Executive => true,
    };
    let policy = table.spec.deletion_policy;
    match decide(record.as_ref(), &me, policy, context.allow_drop, counts) {
        Farewell::LetGo => Ok(None),
        Farewell::Blocked(refusal) => Ok(Some(refusal)),
        Farewell::Release => {
            tracing::info!(table = %name, "an object gives up a table, which stays");
            let release = database.ask("give up the table", async |ctldb, fence| {
                ctldb.release(&name, &me, fence).await
            });
            gone_is_done(release.await).map(|()| None)
        }
        Farewell::Drop(owners) => {
            let said = said(table, is_confirmed(table.meta()));
            if let Err(Full { max }) = context.budget.admit(&name, Change::Drop, said) {
                return Ok(Some(too_many(table, &format!("drop {max}"))));
            }
            let author = apply::author(&context.cluster, table);
            let kind = SchemaChangeKind::DropOwnedBy(owners);
            let change = SchemaChange { table: name, by: me, kind };
            let drop = database.ask("drop the table", async |ctldb, fence| {
                ctldb.change_schema(&change, &author, fence).await.map(|_| ())
            });
            gone_is_done(drop.await).map(|()| None)
        }
    }
}

/// The family's object may be gone before its tables; then the table's own status still knows the name.
fn table_name(table: &CtlTable, family: Option<&crds::CtlFamily>) -> Option<LdbTable> {
    family.and_then(|family| sql_name(table, family)).or_else(|| {
        let known = table.status.as_ref()?.sql_name.as_deref()?;
        LdbTable::parse(known).ok()
    })
}

fn gone_is_done(answer: Result<(), DatabaseError>) -> Result<(), DatabaseError> {
    match answer {
        Err(DatabaseError::Failed { source, .. }) if matches!(*source, Error::TableNotFound(_)) => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use ctldb::Deletion;
    use ledger::{Column, ColumnName, ColumnType, Seq, TableSchema};

    use super::*;

    fn id(cluster: &str) -> OwnerId {
        OwnerId::Object { cluster: cluster.into(), namespace: "web".into(), name: "plans".into() }
    }

    fn record(owners: &[OwnerId]) -> TableRecord {
        let name = ColumnName::parse("id").unwrap();
        let columns = vec![Column { name: name.clone(), column_type: ColumnType::String }];
        let table = LdbTable::parse("billing___plans").unwrap();
        let schema = TableSchema::new(table, columns, vec![name]).unwrap();
        let owner = |id: &OwnerId| Owner { id: id.clone(), deletion: Deletion::Delete };
        let owners = owners.iter().map(owner).collect();
        TableRecord { schema, owners, schema_seq: Seq::FIRST, intent: None }
    }

    #[test]
    fn a_table_is_dropped_only_by_its_only_owner_with_both_keys() {
        use DeletionPolicy::{Delete, Retain};
        let me = id("here");
        let word = |record: Option<&TableRecord>, policy, allow_drop| match decide(
            record,
            &me,
            policy,
            allow_drop,
            |_| true,
        ) {
            Farewell::LetGo => "let go".to_owned(),
            Farewell::Release => "release".to_owned(),
            Farewell::Drop(_) => "drop".to_owned(),
            Farewell::Blocked(refusal) => refusal.reason.to_string(),
        };
        let mine = record(&[id("here")]);
        let shared = record(&[id("here"), id("there")]);
        let executive = record(&[OwnerId::Executive, id("here")]);
        assert_eq!(word(None, Delete, true), "let go");
        assert_eq!(word(Some(&record(&[id("there")])), Delete, true), "let go");
        assert_eq!(word(Some(&record(&[])), Delete, true), "let go");
        assert_eq!(word(Some(&mine), Retain, true), "release");
        assert_eq!(word(Some(&shared), Delete, true), "release");
        assert_eq!(word(Some(&executive), Delete, true), "release");
        assert_eq!(word(Some(&mine), Delete, false), "DestructiveChangeBlocked");
        assert_eq!(word(Some(&mine), Delete, true), "drop");
        // An owner whose object is gone without a trace holds nothing back.
        let stale = decide(Some(&shared), &me, Delete, true, |_| false);
        assert_eq!(stale, Farewell::Drop(shared.owners));
    }
}
