//! Bounds how many bytes leave in a second, on average over a part of an object.

use std::time::Duration;

use tokio::time::Instant;

/// A bound, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// Bytes in a second.
    pub bytes_per_second: Option<u64>,
}

impl Rate {
    /// Waits until as much time has passed since `start` as these bytes may take.
    pub async fn pace(self, start: Instant, bytes: u64) {
        if let Some(rate) = self.bytes_per_second {
            let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
            let due = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
            tokio::time::sleep_until(start + due).await;
        }
    }
}
