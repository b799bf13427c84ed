//! How many tables one pass may change. A pass is a run of changes without a pause of [`QUIET`] between them: what one
//! `kubectl apply` or one deleted namespace sets off, and not what people do one after another.
//!
//! The brake is for mistakes: a wrong folder applied, a namespace deleted, an operator that meets an empty database. What
//! is held stays held, also after a restart (its own condition says so), until somebody confirms it on the object.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ledger::LdbTable;
use tokio::time::Instant;

/// A pause of this length ends a pass.
pub(crate) const QUIET: Duration = Duration::from_secs(10);

/// How many tables one pass may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxChanges {
    /// Tables that are created or get columns.
    pub growing: usize,
    /// Tables that are dropped.
    pub drops: usize,
}

impl Default for MaxChanges {
    fn default() -> Self {
        Self { growing: 100, drops: 1 }
    }
}

impl MaxChanges {
    /// As many as are asked for, as in dev mode.
    pub const UNLIMITED: Self = Self { growing: usize::MAX, drops: usize::MAX };
}

/// What a change does to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Creates it or adds columns.
    Grow,
    /// Drops it.
    Drop,
}

/// What the object itself tells about the brake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Its user has confirmed this change.
    Confirmed,
    /// It was held before, and nobody has confirmed.
    Held,
    /// Nothing.
    Nothing,
}

/// The pass is full; the object is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// How many changes of the kind a pass may make.
    pub(crate) max: usize,
}

/// Counts the changes of the present pass.
#[derive(Debug)]
pub(crate) struct Budget {
    max: MaxChanges,
    pass: Mutex<Pass>,
}

#[derive(Debug, Default)]
struct Pass {
    /// When something was last asked for.
    last: Option<Instant>,
    // Names, not numbers: a change that failed and is tried again is one change.
    growing: BTreeSet<LdbTable>,
    drops: BTreeSet<LdbTable>,
}

impl Budget {
    pub(crate) fn new(max: MaxChanges) -> Self {
        Self { max, pass: Mutex::default() }
    }

    /// May this table be changed now?
    pub(crate) fn admit(&self, table: &LdbTable, change: Change, said: Said) -> Result<(), Full> {
        let max = match change {
            Change::Grow => self.max.growing,
            Change::Drop => self.max.drops,
        };
        match said {
            Said::Confirmed => return Ok(()),
            Said::Held => return Err(Full { max }),
            Said::Nothing => {}
        }
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if pass.last.is_some_and(|last| now.duration_since(last) >= QUIET) {
            *pass = Pass::default();
        }
        pass.last = Some(now);
        let changed = match change {
            Change::Grow => &mut pass.growing,
            Change::Drop => &mut pass.drops,
        };
        if !changed.contains(table) && changed.len() >= max {
            return Err(Full { max });
        }
        changed.insert(table.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn table(n: usize) -> LdbTable {
        LdbTable::parse(&format!("billing___table_{n}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_changes_so_many_tables_and_a_pause_begins_another() {
        let budget = Budget::new(MaxChanges { growing: 2, drops: 1 });
        let ask = |n, change| budget.admit(&table(n), change, Said::Nothing);
        assert_eq!(ask(1, Change::Grow), Ok(()));
        assert_eq!(ask(2, Change::Grow), Ok(()));
        assert_eq!(ask(1, Change::Grow), Ok(()), "tried again");
        assert_eq!(ask(3, Change::Grow), Err(Full { max: 2 }));
        assert_eq!(ask(1, Change::Drop), Ok(()), "drops have a count of their own");
        assert_eq!(ask(2, Change::Drop), Err(Full { max: 1 }));
        advance(QUIET - Duration::from_secs(1)).await;
        assert_eq!(ask(3, Change::Grow), Err(Full { max: 2 }), "the same pass");
        advance(QUIET).await;
        assert_eq!(ask(3, Change::Grow), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_stays_held_until_it_is_confirmed() {
        let budget = Budget::new(MaxChanges { growing: 1, drops: 0 });
        let ask = |said| budget.admit(&table(1), Change::Grow, said);
        assert_eq!(ask(Said::Held), Err(Full { max: 1 }), "though the pass is empty");
        assert_eq!(ask(Said::Confirmed), Ok(()));
        assert_eq!(budget.admit(&table(2), Change::Grow, Said::Nothing), Ok(()), "not counted");
        assert_eq!(budget.admit(&table(2), Change::Drop, Said::Nothing), Err(Full { max: 0 }));
    }
}
