//! Carries out a table's plan, step by step. Each step is safe to repeat: a crash between two of them is mended by the
//! next look.

use crds::CtlTable;
use ctldb::{Author, SchemaChange, SchemaChangeKind, SizeLimit};
use kube::Resource;
use ledger::{LdbTable, Seq};

use crate::ctltable::plan::{Plan, Step};
use crate::database::{Database, DatabaseError};
use crate::objects::MANAGER;
use crate::precedence::full_name;

/// The table is as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Its name in SQL.
    pub(crate) table: LdbTable,
    /// The ledger entry that made it what it is.
    pub(crate) schema_seq: Seq,
    /// The limit that it has.
    pub(crate) limit: Option<SizeLimit>,
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is carried out.
    Applied(Applied),
    /// Unfinished business of others was finished first: look again.
    LookAgain,
}

/// Carries out `plan`.
pub(crate) async fn apply(
    plan: Plan,
    author: &Author,
    database: &Database,
) -> Result<Outcome, DatabaseError> {
    let Plan { table, owner, steps, limit, mut schema_seq } = plan;
    let change = async |action, kind| {
        let change = SchemaChange { table: table.clone(), by: owner.id.clone(), kind };
        let changed = database
            .ask(action, async |ctldb, fence| ctldb.change_schema(&change, author, fence).await);
        Ok(Some(changed.await?.schema_seq))
    };
    for step in steps {
        match step {
            Step::FinishIntents => {
                let finish = database.ask("finish schema changes", async |ctldb, fence| {
                    ctldb.finish_intents(fence).await
                });
                finish.await?;
                return Ok(Outcome::LookAgain);
            }
            Step::CreateFamily => {
                let create = database.ask("create the family", async |ctldb, fence| {
                    ctldb.create_family(table.family(), fence).await
                });
                create.await?;
            }
            Step::Create(schema) => {
                let kind = SchemaChangeKind::Create { schema, owner: owner.clone() };
                schema_seq = change("create the table", kind).await?;
            }
            Step::AddColumns(columns) => {
                let kind = SchemaChangeKind::AddColumns(columns);
                schema_seq = change("add columns", kind).await?;
            }
            Step::Claim => {
                let claim = database.ask("claim the table", async |ctldb, fence| {
                    ctldb.claim(&table, &owner, fence).await
                });
                claim.await?;
            }
            Step::Limit(limit) => {
                let set = database.ask("set the limit of the table", async |ctldb, fence| {
                    ctldb.set_table_limit(&table, limit, &owner.id, fence).await
                });
                set.await?;
            }
        }
    }
    let schema_seq = schema_seq.expect("BUG: a table is there or is created");
    Ok(Outcome::Applied(Applied { table, schema_seq, limit }))
}

/// Who made a change, for the ledger's audit columns: we, on behalf of whoever applied the object.
pub(crate) fn author(cluster: &str, table: &CtlTable) -> Author {
    let meta = table.meta();
    let managers = meta.managed_fields.iter().flatten();
    // Whoever wrote last, other than to the status and other than us, wrote the spec, as far as the API server tells.
    let manager = managers
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter(|entry| entry.manager.as_deref() != Some(MANAGER))
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone());
    let principal = match manager {
        Some(manager) => format!("operator/{cluster} for {manager}"),
        None => format!("operator/{cluster}"),
    };
    let generation = meta.generation.unwrap_or_default();
    Author {
        writer: None,
        principal,
        source_address: String::new(),
        request_id: format!("{}/{generation}", meta.uid.as_deref().unwrap_or_default()),
        reason: Some(format!("CtlTable {} generation {generation}", full_name(meta))),
    }
}
