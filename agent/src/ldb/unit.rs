//! Cuts steps into units that become visible together: an entry by itself, or a transaction of the ledger.

use std::ops::Range;

use crate::replay::{Action, Step};

/// Some steps in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) steps: Range<usize>,
    /// Is its end among the steps?
    pub(crate) whole: bool,
}

/// All units; only the last may lack its end. `in_frame`: the first one began in an earlier call.
pub(crate) fn units(steps: &[Step], in_frame: bool) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut open = in_frame.then_some(0);
    for (index, step) in steps.iter().enumerate() {
        match (&step.action, open) {
            (Action::Begin, _) => open = Some(index),
            (Action::Commit, Some(start)) => {
                units.push(Unit { steps: start..index + 1, whole: true });
                open = None;
            }
            (Action::Run(_) | Action::Skip(_), Some(_)) => {}
            (Action::Commit | Action::Run(_) | Action::Skip(_), None) => {
                units.push(Unit { steps: index..index + 1, whole: true });
            }
        }
    }
    if let Some(start) = open
        && start < steps.len()
    {
        units.push(Unit { steps: start..steps.len(), whole: false });
    }
    units
}
