//! Waiting for a promise to come true. All sleeping in tests is done here.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

/// Between two looks: short, for most promises come true within milliseconds.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls `look` until it gives a value, at most for `deadline`; then fails with what it last complained about.
///
/// # Errors
/// When the deadline has passed. The last complaint is the cause.
pub async fn eventually<T>(
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let start = tokio::time::Instant::now();
    loop {
        let complaint = match tokio::time::timeout(deadline, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(complaint)) => complaint,
            Err(_) => anyhow!("a look did not return"),
        };
        if start.elapsed() >= deadline {
            return Err(complaint).with_context(|| format!("still not so after {deadline:?}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for a thread: `look` says `None` for "not yet" and fails for "never".
pub(crate) fn poll<T>(
    deadline: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if start.elapsed() >= deadline {
            return Err(anyhow!("still not so after {deadline:?}"));
        }
        std::thread::sleep(PAUSE);
    }
}
