//! What a program asks of an error, and what the retries do.

use rusqlite::ffi;

use crate::Error;

impl Error {
    /// The LDB, the family or the table is not here (yet).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Error::NoLdb { .. } | Error::UnknownFamily { .. } | Error::UnknownTable { .. }
        )
    }

    /// The caller named something impossible: a wrong name, count or type. Asking again does not help.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Error::Name(_)
                | Error::KeyCount { .. }
                | Error::KeyType { .. }
                | Error::NoPrefix { .. }
                | Error::ResumeKey { .. }
                | Error::ColumnValue { .. }
        )
    }

    /// The LDB is further behind than [`Family::max_staleness`](crate::Family::max_staleness) allows.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self, Error::Stale { .. })
    }

    /// What [`Ldb::at_least`](crate::Ldb::at_least) waits for did not come in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::NotReached { .. })
    }

    /// What [`Ldb::at_least`](crate::Ldb::at_least) waits for did not come in time, and it belongs to another history than
    /// what the LDB has. That passes if the agent is about to follow into a new history; if it lasts, the node follows
    /// another ledger or went another way (its agent says which), and waiting longer does not help.
    #[must_use]
    pub fn is_other_history(&self) -> bool {
        matches!(self, Error::NotReached { histories: Some(_), .. })
    }

    /// The LDB is past a position, and not by way of it: waiting longer does not help.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self, Error::Forked { .. })
    }

    /// A view is over.
    #[must_use]
    pub fn is_view_ended(&self) -> bool {
        matches!(self, Error::ViewEnded { .. })
    }

    /// May the same call succeed later, without a change of the program?
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_not_found()
            || self.is_unavailable()
            || self.is_stale()
            || self.is_timeout()
            || self.is_view_ended()
    }

    /// The file cannot be read at the moment; what passes by itself was waited for already.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }

    /// Another thread closed the connection in between, as some do after errors: passes.
    pub(crate) fn closed() -> Self {
        Error::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None))
    }

    /// What SQLite says when the agent is in the middle of something. It passes, usually at once.
    pub(crate) fn passing(self) -> Result<rusqlite::Error, Self> {
        const PASSING: [i32; 6] = [
            ffi::SQLITE_READONLY_RECOVERY,
            ffi::SQLITE_READONLY_CANTINIT,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_CANTOPEN,
        ];
        match self {
            Error::Sqlite(error) => match error.sqlite_error() {
                // Low byte: CANTOPEN_FULLPATH (a generation that is just replaced) and its like.
                Some(code)
                    if PASSING.contains(&code.extended_code)
                        || code.extended_code & 0xff == ffi::SQLITE_CANTOPEN =>
                {
                    Ok(error)
                }
                Some(_) | None => Err(Error::Sqlite(error)),
            },
            other => Err(other),
        }
    }
}
