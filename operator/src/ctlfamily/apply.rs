//! Carries out a family's plan.

use ledger::FamilyName;

use crate::ctlfamily::plan::Plan;
use crate::database::{Database, DatabaseError};

/// The family is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Its name in SQL.
    pub(crate) name: FamilyName,
}

/// Carries out `plan`. That somebody else did it meanwhile is as good.
pub(crate) async fn apply(plan: Plan, database: &Database) -> Result<Applied, DatabaseError> {
    match plan {
        Plan::Nothing(name) => Ok(Applied { name }),
        Plan::Create(name) => {
            let create = database.ask("create the family", async |ctldb, fence| {
                ctldb.create_family(&name, fence).await
            });
            create.await?;
            Ok(Applied { name })
        }
    }
}
