//! What a step adds to the WAL, at a guess that is rather too high.

use ledger::{Literal, Statement};

use crate::replay::{Action, Step};

/// Two pages for each row, and what does not fit them.
pub(crate) fn weight(step: &Step) -> u64 {
    let large = match &step.action {
        Action::Run(Statement::Upsert { values, .. }) => values.iter().map(bytes).sum(),
        Action::Begin | Action::Commit | Action::Run(_) | Action::Skip(_) => 0,
    };
    u64::try_from(large).unwrap_or(u64::MAX).saturating_add(8192)
}

fn bytes(value: &Literal) -> usize {
    match value {
        Literal::Text(text) => text.len(),
        Literal::Hex(bytes) => bytes.len(),
        Literal::Null | Literal::Bool(_) | Literal::Integer(_) | Literal::Real(_) => 8,
    }
}
