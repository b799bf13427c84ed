//! What is decided, as [`decide`](crate::replay::decide) hands it on: steps, and what comes after them.

use ledger::{ColumnName, LeaderTs, Literal, Position, Seq, Statement};

use crate::replay::Stop;

/// Family and table of heartbeats, the original's too.
const HEARTBEATS: (&str, &str) = ("ctlstore", "heartbeats");

/// Where the LDB stands, an open frame included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The last entry applied; none in an empty LDB.
    pub(crate) position: Option<Position>,
    /// Is a transaction of the ledger open, whose end was not fetched yet?
    pub(crate) in_frame: bool,
}

/// One entry, ready to be applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Where the LDB stands after it.
    pub(crate) position: Position,
    pub(crate) leader_ts: LeaderTs,
    pub(crate) action: Action,
}

impl Step {
    /// Does it change more than the time at which somebody was last known to write?
    pub(crate) fn is_change(&self) -> bool {
        match &self.action {
            Action::Run(Statement::Upsert { table, .. }) => {
                (table.family().as_str(), table.table().as_str()) != HEARTBEATS
            }
            Action::Begin | Action::Commit | Action::Run(_) | Action::Skip(_) => true,
        }
    }

    /// A name or a value lies in a piece of memory of its own.
    fn bytes(&self) -> usize {
        const PIECE: usize = 32;
        let name = PIECE + size_of::<ColumnName>();
        let value = |value: &Literal| {
            let apart = match value {
                Literal::Text(text) => text.len() + PIECE,
                Literal::Hex(bytes) => bytes.len() + PIECE,
                Literal::Null | Literal::Bool(_) | Literal::Integer(_) | Literal::Real(_) => 0,
            };
            apart + size_of::<Literal>()
        };
        let apart = match &self.action {
            Action::Begin | Action::Commit => 0,
            Action::Skip(reason) => reason.len(),
            Action::Run(Statement::Upsert { columns, values, .. }) => {
                columns.len() * name + values.iter().map(value).sum::<usize>()
            }
            Action::Run(Statement::Delete { key, .. }) => {
                key.iter().map(|(_, key)| name + value(key)).sum()
            }
            Action::Run(Statement::CreateTable(schema)) => schema.columns().len() * 2 * name,
            Action::Run(_) => 0,
        };
        size_of::<Self>() + 2 * PIECE + apart
    }
}

/// What an entry does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Opens a transaction of the ledger.
    Begin,
    /// Ends it.
    Commit,
    /// Neither of these two.
    Run(Statement),
    /// Nothing, for the reason that an administrator gave.
    Skip(String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Of the ledger: the last sequence given out.
    pub(crate) head: Seq,
    pub(crate) steps: Vec<Step>,
    pub(crate) then: Then,
}

impl Plan {
    /// What it takes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.steps.iter().map(Step::bytes).sum()
    }

    /// Where an LDB stands that stood here and applied the steps.
    pub(crate) fn end(&self, from: Standing) -> Standing {
        let position = self.steps.last().map_or(from.position, |step| Some(step.position));
        let frames = self.steps.iter().rev().find_map(|step| match step.action {
            Action::Begin => Some(true),
            Action::Commit => Some(false),
            Action::Run(_) | Action::Skip(_) => None,
        });
        Standing { position, in_frame: frames.unwrap_or(from.in_frame) }
    }
}

/// What comes after the steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Then {
    /// The ledger has more: fetch again at once.
    More,
    /// That was all.
    Idle,
    /// It cannot go on.
    Stop(Stop),
}
