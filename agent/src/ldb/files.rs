//! Handles to a generation's files beside SQLite's own, to copy the one and to ask about locks on the other.
//!
//! POSIX takes all locks of a process off a file when the process closes any handle to it. So these are opened once and
//! closed only after every connection of the writer to the file: whoever holds connections holds this too, in a field
//! below them. Nothing else in the agent may open `ldb.db` or `-shm` by plain file calls while SQLite has it open.

use std::fs::File;
use std::path::Path;

use crate::ldb::{Error, attached, generation};

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) database: File,
    shm: File,
}

impl Files {
    /// Both are there once SQLite has opened the file.
    pub(crate) fn open(database: &Path) -> Result<Self, Error> {
        let open = |path: &Path| File::open(path).map_err(Error::file("open", path));
        Ok(Self { database: open(database)?, shm: open(&generation::beside(database, "-shm"))? })
    }

    /// How many other processes have the generation open. When that cannot be known, somebody may.
    pub(crate) fn attached(&self) -> u64 {
        attached::others(&self.shm).unwrap_or(1)
    }
}
