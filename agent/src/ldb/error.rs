//! What can go wrong on the node's own disk.

use std::path::PathBuf;
use std::time::Duration;

use ledger::Seq;
use rusqlite::ErrorCode;

/// Why the LDB cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {what} {path}: the agent must own the LDB directory and be able to write it", path = path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("another agent (process {pid}) has the LDB directory {path}: stop it, or choose another directory", path = path.display())]
    Locked { path: PathBuf, pid: String },
    #[error("{path} is not of this agent: {what}. Move it away, or choose another directory", path = path.display())]
    Foreign { path: PathBuf, what: String },
    #[error(
        "SQLite {version} has a bug that corrupts files in WAL mode: build the agent with 3.51.3 or later"
    )]
    OldSqlite { version: &'static str },
    #[error("cannot {what} the LDB")]
    Sqlite { what: &'static str, source: rusqlite::Error },
    #[error("the LDB's own books cannot be read")]
    Books { source: reader::Error },
    #[error("the LDB {path} is damaged: {what}", path = path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("the new LDB ends at {new}, before {served}, which is served: take a newer one")]
    Older { new: Seq, served: Seq },
    #[error("the WAL has {bytes} bytes and may have {limit} (--wal-hard-limit)")]
    WalFull { bytes: u64, limit: u64 },
    #[error(
        "readers hold {bytes} bytes of WAL, near --wal-hard-limit, and the file was replaced a moment ago: waiting. Find the program that keeps a read transaction open"
    )]
    Held { bytes: u64, wait: Duration },
    #[error("the disk of {path} has {free} bytes free and {needed} are needed: make space", path = path.display())]
    NoSpace { path: PathBuf, free: u64, needed: u64 },
    #[cfg(test)]
    #[error("crashed at {0:?}, as the test asked")]
    Crashed(crate::ldb::crash::Point),
}

impl Error {
    pub(crate) fn sqlite(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Error::Sqlite { what, source }
    }

    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::File { what, path, source }
    }

    /// Is what the file holds wrong, whatever is done to it?
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Error::Books { .. } | Error::Damaged { .. } => true,
            _ => matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
        }
    }

    /// Is the file not there?
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Error::File { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => self.code() == Some(ErrorCode::CannotOpen),
        }
    }

    /// Does it end when somebody makes space?
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            Error::NoSpace { .. } => true,
            Error::File { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => self.code() == Some(ErrorCode::DiskFull),
        }
    }

    /// Does the disk fail?
    pub(crate) fn is_io(&self) -> bool {
        self.code() == Some(ErrorCode::SystemIoFailure)
    }

    /// What somebody can do about what SQLite says in few words.
    pub(crate) fn cure(&self) -> Option<&'static str> {
        match self.code()? {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(
                "another program locks the file: end it, nothing but the agent may write the LDB",
            ),
            ErrorCode::ReadOnly => {
                Some("the file system or the file is read-only: make it writable again")
            }
            ErrorCode::DiskFull => Some("the disk is full: make space"),
            ErrorCode::SystemIoFailure => Some("the disk fails: see the log of the kernel"),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Some("the file is damaged: the agent builds another one from the ledger")
            }
            _ => None,
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Sqlite { source: rusqlite::Error::SqlInputError { error, .. }, .. } => {
                Some(error.code)
            }
            Error::Sqlite { source, .. } => source.sqlite_error_code(),
            _ => None,
        }
    }
}
