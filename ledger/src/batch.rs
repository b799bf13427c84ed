//! What a writer asks for at once: rows to write and to delete, and how that is framed in the ledger.

use crate::{Key, Row, Statement, TableSchema};

/// One change of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Mutation {
    /// Write the whole row.
    Upsert(Row),
    /// Delete the row of this key.
    Delete(Key),
}

impl Mutation {
    /// Its statement for the ledger.
    #[must_use]
    pub fn statement(&self, schema: &TableSchema) -> Statement {
        match self {
            Mutation::Upsert(row) => Statement::upsert(schema, row),
            Mutation::Delete(key) => Statement::delete(schema, key),
        }
    }
}

/// Frames the statements of a batch: more than one stand between [`Statement::Begin`] and [`Statement::Commit`], one
/// stands alone. Only batches of rows are framed, changes of tables never are.
#[must_use]
pub fn framed(statements: Vec<Statement>) -> Vec<Statement> {
    if statements.len() < 2 {
        return statements;
    }
    let begin = std::iter::once(Statement::Begin);
    begin.chain(statements).chain(std::iter::once(Statement::Commit)).collect()
}
