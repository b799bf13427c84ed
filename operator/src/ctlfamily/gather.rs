//! Reads what a family's plan needs. Writes nothing.

use crds::CtlFamily;
use kube::runtime::reflector::ObjectRef;
use ledger::FamilyName;

use crate::cache::Cache;
use crate::ctlfamily::plan::{Declared, Seen};
use crate::database::{Database, DatabaseError};

/// The family and those that want its name; none when it is gone.
pub(crate) fn objects(name: &ObjectRef<CtlFamily>, cache: &Cache) -> Option<Declared> {
    let family = cache.families.get(name)?;
    let rivals = cache.family_rivals(&family);
    Some(Declared { family, rivals })
}

/// What the database holds of it.
pub(crate) async fn database(
    name: &FamilyName,
    database: &Database,
) -> Result<Seen, DatabaseError> {
    let families = database.ask("read the families", async |ctldb, _| ctldb.families().await);
    let registered = families.await?.contains(name);
    let limits =
        database.ask("read the limits of writers", async |ctldb, _| ctldb.writer_limits().await);
    Ok(Seen { registered, limits: limits.await? })
}
