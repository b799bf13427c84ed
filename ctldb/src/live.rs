//! What a table really looks like in the database, to find drift and to make schema changes idempotent.

use ledger::TableSchema;

/// A table as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// It is not there.
    Absent,
    /// It is there, made as we make tables.
    Table(TableSchema),
    /// Something of this name is there that we would not have made so.
    Foreign {
        /// What is different about it.
        what: String,
    },
}
