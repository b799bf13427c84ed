//! The clock of views: milliseconds since the machine started, read without a system call, a few of them late.

use nix::time::{ClockId, clock_gettime};

/// Never 0, and so 0 can stand for "never".
#[inline]
pub(crate) fn coarse_ms() -> u64 {
    // It cannot fail with this clock; if it did, views would end at every read.
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map_or(u64::MAX, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
        seconds * 1000 + nanos / 1_000_000 + 1
    })
}
