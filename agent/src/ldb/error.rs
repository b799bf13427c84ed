//! What can go wrong on the node's own disk.

use std::path::PathBuf;

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
}
