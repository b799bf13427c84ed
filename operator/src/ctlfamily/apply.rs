//! Carries out a family's plan. Each step is safe to repeat.

use ctldb::{OwnerId, WriterLimit};
use ledger::FamilyName;

use crate::ctlfamily::plan::Plan;
use crate::database::{Database, DatabaseError};

/// The family is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Its name in SQL.
    pub(crate) name: FamilyName,
    /// Limits that other objects have set.
    pub(crate) taken: Vec<WriterLimit>,
}

/// Carries out `plan`. That somebody else did it meanwhile is as good.
pub(crate) async fn apply(
    plan: Plan,
    me: &OwnerId,
    database: &Database,
) -> Result<Applied, DatabaseError> {
    let Plan { name, create, limits, taken } = plan;
    if create {
        let create = database
            .ask("create the family", async |ctldb, fence| ctldb.create_family(&name, fence).await);
        create.await?;
    }
    for (writer, limit) in limits {
        let set = database.ask("set the limit of a writer", async |ctldb, fence| {
            ctldb.set_writer_limit(&writer, limit, me, fence).await
        });
        set.await?;
    }
    Ok(Applied { name, taken })
}
