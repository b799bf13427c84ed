//! Reads what a table's plan needs: first from the cache of objects, and of the database only when the declaration is
//! accepted. Writes nothing.

use crds::CtlTable;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use ledger::LdbTable;

use crate::cache::Cache;
use crate::ctlfamily;
use crate::ctltable::accept::{Declared, Rival};
use crate::ctltable::plan::Seen;
use crate::database::{Database, DatabaseError};

/// The table and the objects around it; none when it is gone.
pub(crate) fn objects(name: &ObjectRef<CtlTable>, cache: &Cache) -> Option<Declared> {
    let table = cache.tables.get(name)?;
    let labels = |table: &CtlTable| cache.labels(&table.namespace().unwrap_or_default());
    let family = cache.family(&table.spec.family_ref.name).map(|family| {
        let rivals = cache.family_rivals(&family);
        ctlfamily::Declared { family, rivals }
    });
    let rivals = cache.table_rivals(&table).into_iter().map(|table| {
        let labels = labels(&table);
        Rival { table, labels }
    });
    Some(Declared { labels: labels(&table), rivals: rivals.collect(), family, table })
}

/// What the database holds of it.
pub(crate) async fn database(table: &LdbTable, database: &Database) -> Result<Seen, DatabaseError> {
    let read = database.ask("read the table", async |ctldb, _| {
        let record = ctldb.table(table).await?;
        // A table of the registry has its family there too.
        let family = record.is_some() || ctldb.families().await?.contains(table.family());
        let (live, limit) = (ctldb.live(table).await?, ctldb.table_limit(table).await?);
        Ok(Seen { record, live, limit, family })
    });
    read.await
}
