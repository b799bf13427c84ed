//! Makes one of ours of a quiescent file of the original: that has a number only, and the ledger says the rest of where it
//! stands.

use std::path::Path;

use ledger::Position;
use rusqlite::{Connection, OpenFlags, params};

use crate::ldb::{Error, schema};

/// Says in the file where it stands. Nobody else may have it open; afterwards it is one file again, without `-wal`.
pub(crate) fn adopt(file: &Path, position: &Position) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(Error::sqlite("open"))?;
    let single = connection.pragma_update(None, "journal_mode", "delete");
    single.map_err(Error::sqlite("set up"))?;
    schema::create(&connection)?;
    write_position(&connection, position).map_err(Error::sqlite("write"))?;
    connection.close().map_err(|(_, source)| Error::Sqlite { what: "close", source })
}

/// Stores where an LDB stands, in our table.
pub(super) fn write_position(connection: &Connection, position: &Position) -> rusqlite::Result<()> {
    const META: &str = "REPLACE INTO _ldb_meta (id, format, history, seq, digest, chain) VALUES (1, ?, ?, ?, ?, ?)";
    let Position { history, seq, digest, chain } = position;
    let (format, history) = (reader::layout::META_FORMAT, history.to_string());
    let (digest, chain) = (digest.as_bytes().as_slice(), chain.as_bytes().as_slice());
    let values = params![format, history, seq.to_i64(), digest, chain];
    connection.prepare_cached(META)?.execute(values).map(|_| ())
}
