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
    /// A mark is at the end of the WAL.
    Nudged,
    /// The WAL is in the database.
    Backfilled,
    /// The WAL is empty.
    Cut,
    /// The next generation has its folder.
    DraftMade,
    /// It has its file.
    Filled,
    /// It was found good.
    Checked,
    /// `current` leads to it, and `ctl` does not say so.
    Linked,
    /// `ctl` says so.
    Served,
    /// The generation before is marked as retired.
    Retired,
    /// Its tables have other names.
    Renamed,
    /// It is gone.
    Removed,
}

/// The armed point. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crash {
    #[cfg(test)]
    armed: std::sync::Arc<std::sync::Mutex<Armed>>,
}

#[cfg(test)]
#[derive(Debug, Default)]
struct Armed {
    /// The point, and how many times it is passed before.
    point: Option<(Point, u32)>,
    over: bool,
}

#[cfg(test)]
impl Crash {
    pub(crate) fn at(point: Point, nth: u32) -> Self {
        let armed = Armed { point: Some((point, nth)), over: false };
        Self { armed: std::sync::Arc::new(std::sync::Mutex::new(armed)) }
    }

    pub(crate) fn pass(&self, point: Point) -> Result<(), Error> {
        let mut armed = self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // What is dead does nothing more.
        armed.over |= armed.point == Some((point, 0));
        if armed.over {
            return Err(Error::Crashed(point));
        }
        match &mut armed.point {
            Some((at, left)) if *at == point => {
                *left -= 1;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Did the world end?
    pub(crate) fn is_over(&self) -> bool {
        self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).over
    }
}

#[cfg(not(test))]
#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "does something in tests")]
impl Crash {
    pub(crate) fn pass(&self, _point: Point) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn is_over(&self) -> bool {
        false
    }
}
