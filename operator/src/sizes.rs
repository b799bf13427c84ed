//! How large the tables are, as the leader last measured them, and what statuses say about it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crds::condition::{ConditionType, Reason, State, Wanted};
use ctldb::{SizeLimit, TableSize};
use ledger::LdbTable;

/// What was measured last.
#[derive(Debug)]
pub(crate) struct Sizes {
    /// The limit of tables without one of their own.
    usual: SizeLimit,
    measured: Mutex<HashMap<LdbTable, u64>>,
}

/// What there is to say about the size of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fullness {
    /// Nobody has measured it yet; what was said before stays.
    Unknown,
    /// It is within its limits.
    Fine,
    /// It is above its warn level.
    AboveWarn {
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: SizeLimit,
    },
    /// It is larger than it may be.
    AboveMax {
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: SizeLimit,
    },
}

impl Sizes {
    pub(crate) fn new(usual: SizeLimit) -> Self {
        Self { usual, measured: Mutex::default() }
    }

    /// Forgets what was measured before.
    pub(crate) fn replace(&self, sizes: Vec<TableSize>) {
        let measured = sizes.into_iter().map(|size| (size.table, size.bytes)).collect();
        *self.measured.lock().unwrap_or_else(PoisonError::into_inner) = measured;
    }

    /// How a table with this limit of its own stands.
    pub(crate) fn of(&self, table: &LdbTable, limit: Option<SizeLimit>) -> Fullness {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        match measured.get(table) {
            None => Fullness::Unknown,
            Some(&bytes) => fullness(bytes, limit.unwrap_or(self.usual)),
        }
    }
}

fn fullness(bytes: u64, limit: SizeLimit) -> Fullness {
    if bytes > limit.max_bytes {
        Fullness::AboveMax { bytes, limit }
    } else if bytes > limit.warn_bytes {
        Fullness::AboveWarn { bytes, limit }
    } else {
        Fullness::Fine
    }
}

impl Fullness {
    /// The reason of the condition that says it, if there is one.
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Self::Unknown | Self::Fine => None,
            Self::AboveWarn { .. } => Some(Reason::AboveWarnSize),
            Self::AboveMax { .. } => Some(Reason::AboveMaxSize),
        }
    }

    /// The condition that says it. In whole MiB, so that a growing table does not change its status all the time.
    pub(crate) fn condition(self, table: &LdbTable) -> Option<Wanted> {
        let message = match self {
            Self::Unknown | Self::Fine => return None,
            Self::AboveWarn { bytes, limit } => format!(
                "table {table} has {}, more than its warn level of {}: delete rows or raise spec.limits before it reaches {}",
                size(bytes),
                size(limit.warn_bytes),
                size(limit.max_bytes),
            ),
            Self::AboveMax { bytes, limit } => format!(
                "table {table} has {}, more than the {} that it may have, and takes no more rows: raise spec.limits, or delete rows",
                size(bytes),
                size(limit.max_bytes),
            ),
        };
        Some(Wanted::new(ConditionType::SizeWarning, State::True, self.reason()?, message))
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes.div_ceil(1024)),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_table_is_warned_of_above_its_limits_and_only_when_it_was_measured() {
        let table = LdbTable::parse("billing___plans").unwrap();
        let (small, usual) = (
            SizeLimit { max_bytes: 3 << 20, warn_bytes: 2 << 20 },
            SizeLimit { max_bytes: 100 << 20, warn_bytes: 50 << 20 },
        );
        let sizes = Sizes::new(usual);
        assert_eq!(sizes.of(&table, None), Fullness::Unknown);
        let check = |bytes, limit, want: Option<Reason>| {
            let (age, own) = (Duration::ZERO, limit);
            sizes.replace(vec![TableSize { table: table.clone(), bytes, age, limit: own }]);
            assert_eq!(sizes.of(&table, limit).reason(), want, "{bytes}");
        };
        check(2 << 20, Some(small), None);
        check((2 << 20) + 1, Some(small), Some(Reason::AboveWarnSize));
        check(3 << 20, Some(small), Some(Reason::AboveWarnSize));
        check((3 << 20) + 1, Some(small), Some(Reason::AboveMaxSize));
        check(3 << 20, None, None);
        check(51 << 20, None, Some(Reason::AboveWarnSize));
        let said = sizes.of(&table, None).condition(&table).unwrap();
        assert_eq!(
            said.message,
            "table billing___plans has 51 MiB, more than its warn level of 50 MiB: delete rows or raise spec.limits before it reaches 100 MiB"
        );
        sizes.replace(Vec::new());
        assert_eq!(sizes.of(&table, None).condition(&table), None);
    }
}
