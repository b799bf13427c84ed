//! What a follower is told.

use std::time::SystemTime;

use ledger::{ColumnName, FamilyName, Seq, TableName, Value};

/// What a follower is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A row or a table changed.
    Change(Change),
    /// Everything up to this sequence was told. To go on from here later, remember it.
    Position(Seq),
    /// Changes were missed: read again what you keep. What comes after this event is told.
    Reload {
        /// From where it goes on; unknown in the original's file.
        from: Option<Seq>,
    },
}

impl Event {
    /// From where to follow ([`Follow::after`](crate::changes::Follow::after)) when this event was the last one: all up to
    /// there was told. [`Changes::resume`](crate::changes::Changes::resume) knows more.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        match self {
            // An entry may delete several rows: the others may be still to come.
            Event::Change(Change { op: Op::Delete, seq, .. }) => seq.map(Seq::before),
            Event::Change(change) => change.seq,
            Event::Position(seq) => Some(*seq),
            Event::Reload { from } => *from,
        }
    }
}

/// A row or a table that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of the ledger's entry. None in the original's file, which does not tell it.
    pub seq: Option<Seq>,
    /// When the entry was written, if that is known.
    pub at: Option<SystemTime>,
    /// What was done.
    pub op: Op,
    /// The family.
    pub family: FamilyName,
    /// The table within the family.
    pub table: TableName,
    /// The key of the row, in the key's order (in the original's file, in the order of the columns); empty where the whole
    /// table is concerned.
    pub key: Vec<(ColumnName, Value)>,
}

impl Change {
    /// The values of the key, without the names of their columns.
    #[must_use]
    pub fn key_values(&self) -> Vec<Value> {
        self.key.iter().map(|(_, value)| value.clone()).collect()
    }
}

/// What was done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// The row was written.
    Upsert,
    /// The row was deleted, if it was there.
    Delete,
    /// One of these: the original's file does not tell which.
    Touch,
    /// All rows of the table were deleted. (The original's file tells each row instead.)
    Clear,
    /// The table was dropped, if it was there.
    Drop,
    /// The table was made, without rows.
    Create,
    /// The table got one more column.
    AddColumn,
}

impl Op {
    /// As the change log and the API write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Upsert => "upsert",
            Op::Delete => "delete",
            Op::Touch => "touch",
            Op::Clear => "clear",
            Op::Drop => "drop",
            Op::Create => "create",
            Op::AddColumn => "add_column",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        use Op::{AddColumn, Clear, Create, Delete, Drop, Upsert};
        let all = [Upsert, Delete, Clear, Drop, Create, AddColumn];
        all.into_iter().find(|op| op.as_str() == text)
    }
}
