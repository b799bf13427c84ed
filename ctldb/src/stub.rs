//! Signatures first; the implementation replaces this file with the next commit.
#![allow(
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "replaced by the next commit"
)]

use ledger::*;
use serde::{Deserialize, Serialize};

use crate::*;

/// A table of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRecord {
    /// How it looks.
    pub schema: TableSchema,
    /// Who wants it to be so.
    pub owners: Vec<Owner>,
    /// The last ledger entry that changed its columns; zero while it is being created.
    pub schema_seq: Seq,
    /// A change that is not finished.
    pub intent: Option<Intent>,
}

/// Somebody who wants a table, and what becomes of it when it is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Who.
    pub id: OwnerId,
    /// What becomes of the table without this owner.
    pub deletion: Deletion,
}

/// Who may own a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnerId {
    /// It was made over HTTP.
    Executive,
    /// A `CtlTable` object. Not its uid: an object that was deleted and applied again is the same owner.
    Object {
        /// The cluster's name.
        cluster: String,
        /// The object's namespace.
        namespace: String,
        /// The object's name.
        name: String,
    },
}

/// What becomes of a table whose owner goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deletion {
    /// It stays.
    Retain,
    /// It is dropped.
    Delete,
}

/// Which ledger this is and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The version of the schema.
    pub version: u32,
    /// The least version of ours that can work with it.
    pub min_compatible: u32,
    /// The ledger's identity.
    pub history: History,
    /// Its last entry; none while it is empty.
    pub last: Option<Position>,
    /// Entries up to here were pruned.
    pub pruned_through: Seq,
    /// The reign of the leading operator.
    pub epoch: Epoch,
    /// The ledger that this one continues.
    pub parent: Option<Parent>,
}

/// Where a history branched off another. A copy of the parent at or below this point may follow on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The ledger before.
    pub history: History,
    /// Its last sequence that still counts.
    pub seq: Seq,
    /// The chain there.
    pub chain: Chain,
}

/// How large a table may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// Beyond this, writes are refused.
    pub max_bytes: u64,
    /// Beyond this, somebody is warned.
    pub warn_bytes: u64,
}

/// What [`CtlDb::migrate`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrated {
    /// The database was empty and holds a ctldb now.
    Created,
    /// It was of an older version.
    Upgraded {
        /// Of this one.
        from: u32,
    },
    /// It is of our version.
    Current,
    /// It is of a newer version that we can work with.
    NewerButCompatible {
        /// Of this one.
        version: u32,
    },
}

/// The schema version that this release makes.
pub const VERSION: u32 = 1;
/// The oldest release's schema version that can work with what this release makes.
pub const MIN_COMPATIBLE: u32 = 1;

/// Was it made, or was it there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// It was there already, just so.
    AlreadyThere,
}

/// What became of a family that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FamilyDeleted {
    /// It is gone.
    Deleted,
    /// It was not there.
    NotThere,
    /// It stays, for these tables are in it.
    TablesRemain(Vec<LdbTable>),
}

/// A change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// The table.
    pub table: LdbTable,
    /// What to do.
    pub kind: SchemaChangeKind,
}

/// What to do to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChangeKind {
    /// Make it.
    Create {
        /// How it shall look. Its name must be the change's table.
        schema: TableSchema,
        /// Its first owner.
        owner: Owner,
    },
    /// Add columns at its end, in this order.
    AddColumns(Vec<Column>),
    /// Drop it, with its rows and its limit.
    Drop,
}

/// A change is in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The last entry that it wrote.
    pub mark: Mark,
    /// The last entry that changed the table's columns.
    pub schema_seq: Seq,
}

/// A chain that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The first entry kept; zero when there is none.
    pub first: Seq,
    /// The last entry.
    pub last: Seq,
    /// How many were read.
    pub entries: u64,
}

/// The system of record.
#[derive(Debug, Clone)]
pub struct CtlDb;

impl CtlDb {
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(url: CtlDbUrl) -> Result<Self, Error> {
        let _ = (url);
        Ok(Self)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open_with(url: CtlDbUrl, options: Options) -> Result<Self, Error> {
        let _ = (url, options);
        Ok(Self)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replace_url(&self, url: CtlDbUrl) {
        let _ = (url);
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ping(&self) -> Result<(), Error> {
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn migrate(&self) -> Result<Migrated, Error> {
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn meta(&self) -> Result<Meta, Error> {
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn win_epoch(&self) -> Result<Epoch, Error> {
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn families(&self) -> Result<Vec<FamilyName>, Error> {
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_family(&self, family: &FamilyName, fence: Fence) -> Result<Created, Error> {
        let _ = (family, fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_family(
        &self,
        family: &FamilyName,
        fence: Fence,
    ) -> Result<FamilyDeleted, Error> {
        let _ = (family, fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn table(&self, table: &LdbTable) -> Result<Option<TableRecord>, Error> {
        let _ = (table);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tables(&self, family: Option<&FamilyName>) -> Result<Vec<TableRecord>, Error> {
        let _ = (family);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live(&self, table: &LdbTable) -> Result<Live, Error> {
        let _ = (table);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn change_schema(
        &self,
        change: &SchemaChange,
        author: &Author,
        fence: Fence,
    ) -> Result<Applied, Error> {
        let _ = (change, author, fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn finish_intents(&self, fence: Fence) -> Result<Vec<LdbTable>, Error> {
        let _ = (fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn claim(&self, table: &LdbTable, owner: &Owner, fence: Fence) -> Result<(), Error> {
        let _ = (table, owner, fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn release(
        &self,
        table: &LdbTable,
        owner: &OwnerId,
        fence: Fence,
    ) -> Result<(), Error> {
        let _ = (table, owner, fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_table_limit(
        &self,
        table: &LdbTable,
        limit: Option<SizeLimit>,
        fence: Fence,
    ) -> Result<(), Error> {
        let _ = (table, limit, fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn table_limit(&self, table: &LdbTable) -> Result<Option<SizeLimit>, Error> {
        let _ = (table);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn clear_table(
        &self,
        table: &LdbTable,
        author: &Author,
        fence: Fence,
    ) -> Result<Applied, Error> {
        let _ = (table, author, fence);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn register_writer(
        &self,
        writer: &WriterName,
        secret: &Secret,
    ) -> Result<Created, Error> {
        let _ = (writer, secret);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cookie(&self, credentials: &Credentials) -> Result<Vec<u8>, Error> {
        let _ = (credentials);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_cookie(&self, credentials: &Credentials, cookie: &[u8]) -> Result<(), Error> {
        let _ = (credentials, cookie);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn mutate(&self, batch: &Batch) -> Result<Committed, Error> {
        let _ = (batch);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn entries(&self, after: Seq, limit: u32) -> Result<Vec<Entry>, Error> {
        let _ = (after, limit);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn skip(&self, seq: Seq, reason: &str, author: &Author) -> Result<(), Error> {
        let _ = (seq, reason, author);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn new_history(&self, above: Seq, author: &Author) -> Result<History, Error> {
        let _ = (above, author);
        Err(Error::NotMigrated)
    }
    /// See the design.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn verify(&self) -> Result<Verified, Error> {
        Err(Error::NotMigrated)
    }
}
