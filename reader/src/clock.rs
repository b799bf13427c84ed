//! The clock of views: milliseconds since some moment, read without a system call, a few of them late.

use std::sync::OnceLock;
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

/// Never 0, and so 0 can stand for "never".
#[inline]
pub(crate) fn coarse_ms() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE) else { return exact_ms() };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
    seconds * 1000 + nanos / 1_000_000 + 1
}

/// Where a sandbox has no such clock. A clock that stands still would keep views for ever.
#[cold]
fn exact_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1) + 1
}
