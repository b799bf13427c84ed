//! A copy of the LDB at disk speed, while changes go on. A read transaction that begins when all of the WAL is in the
//! database reads the database alone, and SQLite then keeps every checkpoint from touching that file: changes gather in
//! the WAL until the transaction ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::Position;
use rusqlite::Connection;

use crate::ldb::files::Files;
use crate::ldb::{Error, Writer, generation};

/// What is read and written at once.
const PIECE: usize = 1 << 20;

/// A state of the file that does not change while this lives. Keep it short: the WAL cannot be cut meanwhile.
#[derive(Debug)]
#[must_use]
pub(crate) struct Frozen {
    /// Holds the transaction.
    _connection: Connection,
    /// Where that state stands in the ledger.
    pub(crate) position: Option<Position>,
    /// The size of the file.
    pub(crate) bytes: u64,
    // Last: see there.
    files: Arc<Files>,
}

impl Writer {
    /// Freezes the served file, if open views of readers end within the budget. Nothing is applied meanwhile.
    pub(crate) fn freeze(&mut self, budget: Duration) -> Result<Option<Frozen>, Error> {
        self.work.roll_back_open()?;
        let end = Instant::now() + budget;
        let crash = &self.setting.crash;
        if self.rebuild.is_some() || !self.work.checkpoint.backfill(end, crash)? {
            return Ok(None);
        }
        let connection = generation::handle(&self.work.file())?;
        connection.execute_batch("BEGIN").map_err(Error::sqlite("freeze"))?;
        let position = reader::meta::position(&connection);
        let position = position.map_err(|source| Error::Books { source })?;
        let files = Arc::clone(&self.work.files);
        let bytes = files.database.metadata().map_err(Error::file("read", self.work.file()))?.len();
        Ok(Some(Frozen { _connection: connection, position, bytes, files }))
    }
}

impl Frozen {
    /// Writes the whole file there, from any thread. `go_on` is told of each piece, may slow it down, and may end it.
    pub(crate) fn copy_to(
        &self,
        path: &Path,
        mut go_on: impl FnMut(usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let to = File::options().write(true).create_new(true).open(path)?;
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        while offset < self.bytes {
            let left = usize::try_from(self.bytes - offset).unwrap_or(PIECE).min(PIECE);
            let piece = &mut piece[..left];
            self.files.database.read_exact_at(piece, offset)?;
            to.write_all_at(piece, offset)?;
            offset += u64::try_from(left).expect("BUG: a piece is small");
            go_on(left)?;
        }
        Ok(())
    }
}
