//! Who owns a table: claimed and released in the registry. What follows from it is decided elsewhere.

use std::fmt;

use ledger::LdbTable;

use crate::session::Session;
use crate::{CtlDb, Deletion, Error, Fence, Owner, OwnerId, TableRecord};

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

impl TableRecord {
    /// The object that owns the table, if one does. What an object declares is changed there and nowhere else.
    #[must_use]
    pub fn object(&self) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.id != OwnerId::Executive)
    }

    /// May this owner change its columns and its limit?
    pub(crate) fn may_be_changed(&self, by: &OwnerId) -> Result<(), Error> {
        match (by, self.object()) {
            (OwnerId::Executive, Some(object)) => Err(Error::OwnedByObject {
                table: self.schema.table().clone(),
                owner: object.id.clone(),
            }),
            (OwnerId::Executive, None) | (OwnerId::Object { .. } | OwnerId::Family { .. }, _) => {
                Ok(())
            }
        }
    }

    /// May this owner delete all its rows? An object that says Retain is asked first.
    pub(crate) fn may_lose_rows(&self, by: &OwnerId) -> Result<(), Error> {
        let retains =
            |owner: &&Owner| owner.id != OwnerId::Executive && owner.deletion == Deletion::Retain;
        match (by, self.owners.iter().find(retains)) {
            (OwnerId::Executive, Some(object)) => Err(Error::Retained {
                table: self.schema.table().clone(),
                owner: object.id.clone(),
            }),
            (OwnerId::Executive, None) | (OwnerId::Object { .. } | OwnerId::Family { .. }, _) => {
                Ok(())
            }
        }
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnerId::Executive => out.write_str("the executive"),
            OwnerId::Object { cluster, namespace, name } => {
                write!(out, "CtlTable {namespace}/{name} of cluster {cluster}")
            }
            OwnerId::Family { cluster, name } => {
                write!(out, "CtlFamily {name} of cluster {cluster}")
            }
        }
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
