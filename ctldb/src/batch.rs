//! A batch of rows: what a writer asks for at once, and what it gets.

use std::sync::Arc;

use ledger::{FamilyName, Mark, Mutation, Seq, TableSchema};

use crate::{Author, Credentials};

/// The most bytes a cookie may have.
pub const MAX_COOKIE_BYTES: usize = 1024;
/// The most bytes one statement of the ledger may have.
pub const MAX_STATEMENT_BYTES: usize = 786_432;

/// Rows to write and to delete in one transaction: all of them or none.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The family that all tables of the batch belong to.
    pub family: FamilyName,
    /// Who writes.
    pub credentials: Credentials,
    /// Stored with the batch; `None` keeps the cookie that is stored.
    pub cookie: Option<Vec<u8>>,
    /// When present, and be it empty, the stored cookie must be this one.
    pub check_cookie: Option<Vec<u8>>,
    /// The changes, in their order. At least one.
    pub mutations: Vec<TableMutation>,
    /// For the audit columns.
    pub author: Author,
}

/// A change of a row of a table.
#[derive(Debug, Clone)]
pub struct TableMutation {
    /// The table as the values were checked against it. Compared with the registry under the ledger lock.
    pub schema: Arc<TableSchema>,
    /// The change.
    pub mutation: Mutation,
}

/// A batch is in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its last entry.
    pub mark: Mark,
    /// Its first entry.
    pub first_seq: Seq,
    /// It was there already: a recognised retry, and nothing was written.
    pub repeated: bool,
}
