//! What a schema change is about to do. MySQL commits DDL implicitly, so the intent is written and committed first;
//! whoever comes after a crash reads it and finishes the change as it was written.

use ledger::Column;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Author;

/// An unfinished change of a table, as it stands in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Tells it from a later one that looks alike.
    pub id: Uuid,
    /// What is to be done.
    pub kind: IntentKind,
    /// Who asked for it; whoever finishes it writes this author.
    pub author: Author,
}

/// What is to be done to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntentKind {
    /// It is made, as the registry's row says. The row has no sequence yet.
    Create,
    /// It gets these columns, which are not yet among the registry's.
    AddColumns(Vec<Column>),
    /// It is dropped, and then the registry's row goes too.
    Drop,
}
