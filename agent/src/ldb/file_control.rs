//! Settings of SQLite's file layer.

use std::ffi::CStr;

use rusqlite::{Connection, FileControl};

use crate::ldb::Error;

/// Keeps `-wal` and `-shm` when the last connection closes: without them, a reader that may not write the directory
/// could not open the file. Needed on every connection that can write.
pub(crate) fn persist_wal(connection: &Connection) -> Result<(), Error> {
    let mut on = 1;
    connection
        .file_control(None::<&CStr>, FileControl::PersistWal(&mut on))
        .map_err(Error::sqlite("set up"))
}
