//! Writes a copy of an LDB anew without its free pages. For files that nobody writes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::ldb::Error;

/// Pages of a database, and how many of them are free, as its header has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) bytes: u64,
    pub(crate) all: u64,
    pub(crate) free: u64,
}

impl Pages {
    /// Of a file without a WAL.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        let mut header = [0; 40];
        let read = File::open(path).and_then(|file| file.read_exact_at(&mut header, 0));
        read.map_err(Error::file("read", path))?;
        let [high, low] = [header[16], header[17]];
        let number = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            u64::from(u32::from_be_bytes(bytes))
        };
        // The largest size does not fit and is written as 1.
        let bytes = match u16::from_be_bytes([high, low]) {
            1 => 65_536,
            bytes => u64::from(bytes),
        };
        Ok(Self { bytes, all: number(28), free: number(36) })
    }
}

/// Writes what `from` holds to the new file `to`.
pub(crate) fn vacuum(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = || Error::sqlite("vacuum a copy of");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags).map_err(failed())?;
    // The copy says that it has a WAL, and has none; without one of its own nothing lies beside it.
    connection.pragma_update(None, "journal_mode", "delete").map_err(failed())?;
    // Its tables are sorted already, so nothing large is put aside; the root file system may be read-only.
    connection.pragma_update(None, "temp_store", "memory").map_err(failed())?;
    let to = to.to_str().ok_or_else(|| {
        let what = "its path is no text".to_owned();
        Error::Foreign { path: to.to_owned(), what }
    })?;
    connection.execute("VACUUM INTO ?1", [to]).map_err(failed())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_anew_without_free_pages_and_says_how_many_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from.db"), dir.path().join("to.db"));
        let open = Connection::open(&from).unwrap();
        open.pragma_update(None, "journal_mode", "wal").unwrap();
        let fill = "CREATE TABLE fam___tbl (id INTEGER PRIMARY KEY, body BLOB);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            INSERT INTO fam___tbl SELECT i, randomblob(1000) FROM n;
            DELETE FROM fam___tbl WHERE id > 200;
            PRAGMA wal_checkpoint(TRUNCATE)";
        open.execute_batch(fill).unwrap();
        drop(open);
        let before = Pages::of(&from).unwrap();
        assert_eq!(before.all * before.bytes, std::fs::metadata(&from).unwrap().len());
        assert!(before.free * 2 > before.all, "{before:?}");
        vacuum(&from, &to).unwrap();
        let after = Pages::of(&to).unwrap();
        assert!(after.free == 0 && after.all * 4 < before.all, "{after:?}");
        let rows = "SELECT count(*), sum(length(body)) FROM fam___tbl";
        let rows = |path: &Path| {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            Connection::open(path).unwrap().query_row::<(i64, i64), _, _>(rows, [], row).unwrap()
        };
        assert_eq!((rows(&to), rows(&from)), ((200, 200_000), (200, 200_000)));
        assert!(vacuum(&from, &to).is_err(), "it is there already");
    }
}
