//! Who owns a table: claimed and released in the registry. What follows from it is decided elsewhere.

use ledger::LdbTable;

use crate::session::Session;
use crate::{CtlDb, Error, Fence, Owner, OwnerId, TableRecord};

const ACTION: &str = "change the owners of a table";

impl CtlDb {
    /// Makes somebody an owner of a table, or replaces what the owner of the same identity said before.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the table is not in the registry or is being dropped, or the fence no longer holds.
    pub async fn claim(&self, table: &LdbTable, owner: &Owner, fence: Fence) -> Result<(), Error> {
        let change =
            |owners: &mut Vec<Owner>| match owners.iter_mut().find(|other| other.id == owner.id) {
                Some(other) => *other = owner.clone(),
                None => owners.push(owner.clone()),
            };
        self.change_owners(table, fence, change).await
    }

    /// Takes an owner off a table. That it was none is fine.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the table is not in the registry or is being dropped, or the fence no longer holds.
    pub async fn release(
        &self,
        table: &LdbTable,
        owner: &OwnerId,
        fence: Fence,
    ) -> Result<(), Error> {
        self.change_owners(table, fence, |owners| owners.retain(|other| other.id != *owner)).await
    }

    async fn change_owners(
        &self,
        table: &LdbTable,
        fence: Fence,
        change: impl FnOnce(&mut Vec<Owner>) + Send,
    ) -> Result<(), Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(fence).await?;
        let result = match session.owned(table).await {
            Err(error) => Err(error),
            Ok(mut record) => {
                change(&mut record.owners);
                session.put_record(ACTION, &record).await
            }
        };
        session.end(ACTION, result).await
    }
}

impl Session {
    /// The table's record, if its owners may change.
    async fn owned(&mut self, table: &LdbTable) -> Result<TableRecord, Error> {
        let record =
            self.record(table).await?.ok_or_else(|| Error::TableNotFound(table.clone()))?;
        match record.intent.as_ref().map(|intent| &intent.kind) {
            Some(crate::IntentKind::Drop) => Err(Error::SchemaBusy { table: table.clone() }),
            Some(crate::IntentKind::Create | crate::IntentKind::AddColumns(_)) | None => Ok(record),
        }
    }
}
