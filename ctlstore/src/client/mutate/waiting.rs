//! Waits between two tries, longer each time, and not for ever.

use std::time::{Duration, Instant};

use anyhow::Result;
use daemon::backoff::Backoff;

use crate::client::progress::Progress;

/// How long is waited for one batch.
pub(super) struct Waiting {
    patience: Duration,
    since: Instant,
    backoff: Backoff,
}

impl Waiting {
    pub(super) fn new(patience: Duration) -> Self {
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        Self { patience, since: Instant::now(), backoff }
    }

    /// Waits, at least so long.
    ///
    /// # Errors
    /// The error, once patience is at its end.
    pub(super) async fn pause(
        &mut self,
        at_least: Duration,
        error: anyhow::Error,
        progress: &mut Progress,
    ) -> Result<()> {
        let pause = self.backoff.next().max(at_least);
        if self.since.elapsed() + pause > self.patience {
            return Err(error.context(format!("gave up after {:?}", self.patience)));
        }
        progress.waits(&error, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
