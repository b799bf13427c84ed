//! Everything that can go wrong with ctldb, with questions a caller may ask.

use std::time::Duration;

use ledger::{ColumnName, FamilyName, GrammarError, LdbTable, Refusal, Seq, WriterName};

use crate::{Epoch, Fault, OwnerId, RateLimit};

/// Why ctldb did not do what it was asked to. Nothing is half done after any of them, except as their words say.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database is away or slow.
    #[error("{action}: ctldb is not available, try again later")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: Fault,
    },
    /// Other connections held locks for longer than our patience.
    #[error("{action}: other writers held a lock for too long, try again")]
    Contended {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: Fault,
    },
    /// The connection broke while a transaction was being committed, and what became of it could not be found out.
    #[error(
        "{action}: the connection broke during the commit, look whether it happened before you repeat it"
    )]
    Unsure {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: Fault,
    },
    /// The database refused, for a reason that has no name here: a missing grant, a full disk, a bug.
    #[error("{action}: ctldb refused, see its own words and grant what is missing")]
    Database {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: Fault,
    },
    /// Another operator leads now.
    #[error(
        "the operator's epoch {mine} is over, the leader's is {current}: leave the work to the leader"
    )]
    Deposed {
        /// The epoch of the one who asked.
        mine: Epoch,
        /// The epoch that rules.
        current: Epoch,
    },
    /// The database holds no ctldb yet.
    #[error(
        "the database holds no ctldb yet: start an operator, an executive or ctlstore dev, which make one"
    )]
    NotMigrated,
    /// The database was made for a later release, which this one cannot work with.
    #[error(
        "this ctldb needs ctlstore {release} or later (schema version {min_compatible}), this is too old: upgrade it"
    )]
    TooNew {
        /// The least schema version that can work with it.
        min_compatible: u32,
        /// The release that brought that version.
        release: String,
    },
    /// A database of the original ctlstore.
    #[error(
        "the database belongs to the original ctlstore and was left untouched: adopting it is a command to come, use an empty database meanwhile"
    )]
    Original,
    /// The server cannot compare text as SQLite does.
    #[error(
        "the server has neither the collation utf8mb4_nopad_bin (MariaDB) nor utf8mb4_0900_bin (MySQL 8.0.17 or later): upgrade the server"
    )]
    Collation,
    /// The row that is the ledger lock is missing.
    #[error(
        "the row 'ledger' is missing in the table locks, so nothing can be written in order: insert it again"
    )]
    LedgerLock,
    /// A sequence that is free by our counter is taken in the ledger.
    #[error(
        "another program writes the ledger behind the back of ctlstore: stop the original's executives, then start a new history with ctlstore ctldb new-history"
    )]
    LedgerTaken {
        /// What the database said.
        #[source]
        source: Fault,
    },
    /// Our own tables hold something that we never write.
    #[error("ctldb is damaged: {what}")]
    Corrupt {
        /// What is wrong, and where.
        what: String,
    },
    /// No such family.
    #[error("family {:?} does not exist, create it first", .0.as_str())]
    FamilyNotFound(FamilyName),
    /// No such table in the registry.
    #[error("table {0} does not exist, create it first")]
    TableNotFound(LdbTable),
    /// The table is in the registry already.
    #[error("table {0} exists already")]
    TableExists(LdbTable),
    /// The column is in the table already.
    #[error("column {:?} of table {table} exists already, leave it out", column.as_str())]
    ColumnExists {
        /// The table.
        table: LdbTable,
        /// The column.
        column: ColumnName,
    },
    /// A table of this name is in the database, and it is not ours.
    #[error(
        "the database has a table {table} that ctlstore did not make ({what}): rename it or choose another name"
    )]
    Foreign {
        /// The table.
        table: LdbTable,
        /// What it looks like.
        what: String,
    },
    /// Unknown writer, or another secret: the two are not told apart.
    #[error("writer not found, or its secret is another: register the writer first")]
    WriterNotFound,
    /// The writer exists with another secret.
    #[error("writer {:?} exists already with different credentials, choose another name", .0.as_str())]
    WriterExists(WriterName),
    /// The writer is bound to other families.
    #[error("writer {:?} may not write family {:?}, bind it to the family first", writer.as_str(), family.as_str())]
    WriterBound {
        /// The writer.
        writer: WriterName,
        /// The family that it asked for.
        family: FamilyName,
    },
    /// No such writer; said to administrators only.
    #[error("writer {:?} does not exist, register it first", .0.as_str())]
    WriterUnknown(WriterName),
    /// The writer has written as many rows as it may for now. Nothing of this batch counts.
    #[error("rate limit exceeded: writer {:?} may write {} rows in {:?}, send smaller batches or wait", writer.as_str(), limit.rows, limit.period)]
    RateLimited {
        /// The writer.
        writer: WriterName,
        /// What it may.
        limit: RateLimit,
        /// When the next window begins.
        retry_after: Duration,
    },
    /// A rate over no time.
    #[error("a writer's limit has a period of zero, set one such as 1m")]
    PeriodZero,
    /// A table of the batch is larger than it may be.
    #[error(
        "table '{table}' has exceeded the max size of {limit}: it has {bytes} bytes, raise its limit or clear it"
    )]
    TableFull {
        /// The table.
        table: LdbTable,
        /// How large it was when it was last measured.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The table is a `CtlTable` object's, and is changed there and nowhere else.
    #[error("table {table} belongs to {owner}: change that object instead")]
    OwnedByObject {
        /// The table.
        table: LdbTable,
        /// The object.
        owner: OwnerId,
    },
    /// The limit of a writer is an object's, and is changed there and nowhere else.
    #[error(
        "the limit of writer {:?} is set by {owner}: change that object instead",
        writer.as_str()
    )]
    LimitOwned {
        /// The writer.
        writer: WriterName,
        /// The object.
        owner: OwnerId,
    },
    /// The table is a `CtlTable` object's, which says that its rows stay.
    #[error(
        "table {table} belongs to {owner}, whose deletionPolicy is Retain: change that object first"
    )]
    Retained {
        /// The table.
        table: LdbTable,
        /// The object.
        owner: OwnerId,
    },
    /// A secret of an impossible length.
    #[error("a writer's secret has 3 to 100 bytes, choose another")]
    SecretLength,
    /// The stored cookie is not the one that the batch expects.
    #[error("cookie conflict: the stored cookie is not check_cookie, read it and go on from there")]
    CookieConflict,
    /// A cookie of more than 1,024 bytes.
    #[error("the cookie has {bytes} bytes, at most 1024 are possible: shorten it")]
    CookieTooLong {
        /// How many it has.
        bytes: usize,
    },
    /// A batch without any change.
    #[error("the batch has no mutations, send at least one")]
    EmptyBatch,
    /// A table of another family than the batch's.
    #[error("table {table} is not of family {:?}, send one batch for each family", family.as_str())]
    OtherFamily {
        /// The family of the batch.
        family: FamilyName,
        /// The table.
        table: LdbTable,
    },
    /// The table is not as it was when the values were checked.
    #[error("table {0} changed while the request was on its way, send it again")]
    SchemaMoved(LdbTable),
    /// The table is being created or dropped.
    #[error("table {table} is being created or dropped, try again in a few seconds")]
    SchemaBusy {
        /// The table.
        table: LdbTable,
    },
    /// The DDL waits for somebody who uses the table. It is tried again; the intent stays.
    #[error("the change of table {table} waits for {blocker}, end it or wait")]
    WaitingForLock {
        /// The table.
        table: LdbTable,
        /// Who stands in the way, as far as the server tells.
        blocker: String,
    },
    /// The change is one that is never made.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A statement would be too long for the ledger.
    #[error(
        "a row of table {table} makes a statement of {bytes} bytes, at most {max} are possible: shorten its values"
    )]
    StatementTooLarge {
        /// The table.
        table: LdbTable,
        /// How long it would be.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A statement that we rendered does not read back as the same: it would poison the ledger. A bug of ours.
    #[error("a statement for table {table} does not read back as it was written, report this")]
    Poisonous {
        /// The table.
        table: LdbTable,
        /// Where it leaves the grammar; none when it reads back as something else.
        #[source]
        source: Option<GrammarError>,
    },
    /// The database refuses the change of the table for good; the intent is withdrawn.
    #[error("the database refuses to change table {table}: {words}")]
    Ddl {
        /// The table.
        table: LdbTable,
        /// The database's own words.
        words: String,
    },
    /// The table has so many rows that deleting them would keep all writers waiting; it was not cleared.
    #[error(
        "table {table} cannot be cleared within {limit:?}, for which all writers wait: drop it and create it again"
    )]
    TooLargeToClear {
        /// The table.
        table: LdbTable,
        /// How long it may take.
        limit: Duration,
    },
    /// The sequence is not in the ledger.
    #[error("sequence {0} is not in the ledger, look at it with ctlstore ledger tail")]
    SeqNotFound(Seq),
    /// Something was decided by looking at the ledger, and this is another one now.
    #[error(
        "the ledger is not the one that was looked at: ctldb was restored, or a new history began meanwhile, so look again"
    )]
    LedgerReplaced,
    /// The chain does not hold: entries were lost, added or changed behind our back.
    #[error("the chain of the ledger breaks at sequence {at}: {what}")]
    ChainBroken {
        /// Where.
        at: Seq,
        /// How.
        what: String,
    },
    /// A test's crash point.
    #[error("crashed at {0:?}, as the test asked")]
    Crashed(&'static str),
}

impl Error {
    /// Will the same request perhaps succeed later, with nothing changed by anybody?
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable { .. } | Error::Contended { .. } | Error::Unsure { .. })
    }

    /// Did it go wrong for a reason that has nothing to do with what was asked?
    pub(crate) fn concerns_all(&self) -> bool {
        matches!(
            self,
            Error::Unavailable { .. }
                | Error::Unsure { .. }
                | Error::NotMigrated
                | Error::TooNew { .. }
                | Error::Original
                | Error::LedgerLock
                | Error::Corrupt { .. }
                | Error::Crashed(_)
        )
    }

    /// May it be that what was known from before was wrong, so that another look is worth it?
    pub(crate) fn may_come_of_memory(&self) -> bool {
        !self.is_unavailable() && !matches!(self, Error::Crashed(_))
    }

    /// Does a schema change stand in the way, which ends by itself?
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Error::SchemaBusy { .. } | Error::WaitingForLock { .. })
    }

    /// Does another operator lead?
    #[must_use]
    pub fn is_deposed(&self) -> bool {
        matches!(self, Error::Deposed { .. })
    }

    /// Was something named that is not there?
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Error::FamilyNotFound(_)
                | Error::TableNotFound(_)
                | Error::WriterNotFound
                | Error::WriterUnknown(_)
                | Error::SeqNotFound(_)
        )
    }

    /// Is the thing that was asked for at odds with what is there?
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Error::TableExists(_)
                | Error::ColumnExists { .. }
                | Error::Foreign { .. }
                | Error::WriterExists(_)
                | Error::OwnedByObject { .. }
                | Error::LimitOwned { .. }
                | Error::Retained { .. }
                | Error::CookieConflict
                | Error::LedgerReplaced
                | Error::SchemaMoved(_)
        )
    }

    /// A statement on our own tables failed.
    pub(crate) fn bookkeeping(action: &'static str, fault: Fault) -> Self {
        match fault {
            Fault::NoSuchTable(_) => Error::NotMigrated,
            other => Error::statement(action, other),
        }
    }

    /// Any statement failed.
    pub(crate) fn statement(action: &'static str, source: Fault) -> Self {
        match source {
            Fault::Timeout(_) | Fault::Away(_) | Fault::Login(_) | Fault::Exhausted(_) => {
                Error::Unavailable { action, source }
            }
            Fault::Contention(_) => Error::Contended { action, source },
            Fault::NoSuchTable(_)
            | Fault::Duplicate(_)
            | Fault::Algorithm(_)
            | Fault::Denied(_)
            | Fault::Refused(_) => Error::Database { action, source },
        }
    }
}
