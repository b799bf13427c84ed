//! Times of a store in the ledger's type.

use std::time::{SystemTime, UNIX_EPOCH};

use ledger::LeaderTs;

/// Now, by this machine's clock.
#[must_use]
pub fn now() -> LeaderTs {
    from_system(SystemTime::now())
}

pub(crate) fn from_system(time: SystemTime) -> LeaderTs {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    LeaderTs::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
