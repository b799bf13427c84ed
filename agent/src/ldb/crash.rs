//! Places between two writes where a test may end the world. They do nothing outside tests.

use crate::ldb::Error;

/// A place between two writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The directory has a lock and nothing else.
    Locked,
    /// The generation has an empty file.
    FileMade,
    /// The file has its tables.
    TablesMade,
    /// `current` leads to it.
    Linked,
    /// A transaction is open and has nothing.
    Begun,
    /// A statement was run.
    Statement,
    /// All statements were run.
    BeforePosition,
    /// The position was written.
    BeforeCommit,
    /// The transaction is committed and `ctl` does not say so.
    Committed,
    /// `ctl` says so.
    Told,
}

/// The armed point.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Crash(
    #[cfg(test)]
    /// The point, and how many times it is passed before.
    pub(crate) Option<(Point, u32)>,
);

impl Crash {
    #[cfg(test)]
    pub(crate) fn pass(&mut self, point: Point) -> Result<(), Error> {
        match &mut self.0 {
            Some((armed, 0)) if *armed == point => Err(Error::Crashed(point)),
            Some((armed, left)) if *armed == point => {
                *left -= 1;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "does something in tests")]
    pub(crate) fn pass(&mut self, _point: Point) -> Result<(), Error> {
        Ok(())
    }
}
