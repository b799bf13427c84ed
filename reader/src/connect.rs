//! Opens the file of a generation to read it.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::Error;

/// Statements of the agent's own tables, kept prepared.
const STATEMENTS: usize = 16;

/// Who keeps the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    Agent,
    /// The original, or nobody: a copy.
    Original,
}

/// SQLite opens nothing before the first read, so this says little about the file. Never `immutable`: that leaves out the
/// WAL, and reads wrong data from a file that changes.
pub(crate) fn connect(file: &Path, keeper: Keeper) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let shm = match keeper {
        // Keeps a reader that may write the directory from writing its shared memory.
        Keeper::Agent => "&readonly_shm=1",
        // Nobody sees to it that there is a WAL; it is made where we may, as the original's reader does.
        Keeper::Original => "",
    };
    let uri = format!("{}?mode=ro{shm}", uri(file));
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A path as a `file:` URI: all but plain characters are percent-encoded.
fn uri(path: &Path) -> String {
    // With an empty authority, for `//` at the beginning of a path would begin one.
    let mut text = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(byte.into());
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}
