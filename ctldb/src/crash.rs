//! Crash points: places between two writes where a test may end the world.

use std::fmt;
use std::sync::Arc;

use crate::Error;

/// Asked at every crash point; when it says yes, the operation ends there as a killed process would: the connection is
/// dropped without commit and without rollback, and the answer is [`Error::Crashed`]. By default nobody says yes.
#[derive(Clone, Default)]
pub struct CrashPoints(Option<Arc<dyn Fn(&'static str) -> bool + Send + Sync>>);

impl CrashPoints {
    /// `crash` is told each point's name as it is reached.
    pub fn new(crash: impl Fn(&'static str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(crash)))
    }

    pub(crate) fn pass(&self, point: &'static str) -> Result<(), Error> {
        match &self.0 {
            Some(crash) if crash(point) => Err(Error::Crashed(point)),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Debug for CrashPoints {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "CrashPoints(armed)" } else { "CrashPoints(none)" })
    }
}
