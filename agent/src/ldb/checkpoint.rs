//! Keeps the WAL small. SQLite's own checkpoints never reset it while readers come through a read-only mount, for those
//! can share marks in the WAL but move none. So the one writer pauses, moves a mark to the end itself, waits until
//! readers have joined it, and cuts the WAL, all within a budget that adapts. Where that does not help, because a reader
//! stands still, the hard limit says so and the file is replaced.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{FallocateFlags, fallocate};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use crate::args::LdbLimits;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::{Error, generation};

const SHORTEST: Duration = Duration::from_millis(20);
/// What the writer waits for readers at most.
pub(crate) const LONGEST: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(250);
/// Without new entries the WAL does not grow, so a reader that is stuck is asked less often.
const BETWEEN_IDLE: Duration = Duration::from_secs(5);
const NAP: Duration = Duration::from_micros(300);
/// A WAL is never shorter: SQLite writes the header of an empty one, syncs it and only then goes on. If the agent died
/// just there, who may not write could not open the file: such a reader makes an index of its own of what is behind the
/// header, and finds no end of differences when nothing is (SQLITE_PROTOCOL). Behind zeros it finds that all is well.
const SHORTEST_WAL: u64 = 64;

#[derive(Debug)]
pub(crate) struct Checkpoint {
    database: PathBuf,
    wal: PathBuf,
    /// A connection of its own, which waits for nobody and never reads the schema.
    connection: Connection,
    limits: LdbLimits,
    budget: Duration,
    longest: Duration,
    last: Option<Instant>,
    /// How large the WAL was when the transaction began.
    before: u64,
    /// What transactions added to it lately.
    growth: u64,
    room: Option<u64>,
    is_served: bool,
    overdraft: Option<Instant>,
    pub(crate) reset: Instant,
    pub(crate) failures: u64,
}

impl Checkpoint {
    pub(crate) fn new(database: &Path, limits: LdbLimits) -> Result<Self, Error> {
        Ok(Self {
            database: database.to_owned(),
            wal: generation::beside(database, "-wal"),
            connection: connect(database)?,
            limits,
            budget: SHORTEST,
            longest: LONGEST,
            last: None,
            before: 0,
            growth: 0,
            room: None,
            is_served: true,
            overdraft: None,
            reset: Instant::now(),
            failures: 0,
        })
    }

    /// After the file was closed and opened.
    pub(crate) fn reopen(&mut self) -> Result<(), Error> {
        self.connection = connect(&self.database)?;
        Ok(())
    }

    /// Makes an empty WAL as long as one has to be; what is in it stays. SQLite locks nothing in this file, so it may be
    /// opened and closed.
    pub(crate) fn pad(&self) {
        let length = SHORTEST_WAL.try_into().expect("BUG: it is short");
        let pad = || -> std::io::Result<()> {
            let wal = File::options().write(true).open(&self.wal)?;
            // Never cuts, whoever writes meanwhile.
            Ok(fallocate(&wal, FallocateFlags::empty(), 0, length)?)
        };
        if let Err(error) = pad() {
            // A full disk, for example. A crash at the wrong moment would keep readers out until the next start.
            tracing::debug!(%error, "cannot lengthen the WAL");
        }
    }

    /// Lets the WAL pass its limit for a while: there is no room on the disk to replace the file.
    pub(crate) fn overdraw(&mut self, time: Duration) {
        self.overdraft = Some(Instant::now() + time);
    }

    /// Nobody waits for this file any more, and the room that was spared is its own.
    pub(crate) fn retire(&mut self) {
        (self.budget, self.longest, self.is_served) = (SHORTEST, SHORTEST, false);
    }

    /// The size of the WAL; 0 when it is empty. Asks for the file's metadata only: opening and closing a file of SQLite's in this process
    /// would drop SQLite's locks.
    pub(crate) fn wal_bytes(&self) -> u64 {
        let bytes = bytes(&self.wal);
        if bytes > SHORTEST_WAL { bytes } else { 0 }
    }

    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// Is there room for a transaction like the last ones? A quarter of the limit is spared for the time when the file
    /// is retired.
    pub(crate) fn admit(&mut self) -> Result<(), Error> {
        let (bytes, hard) = (self.wal_bytes(), self.hard_limit());
        let limit = if self.is_served { hard - hard / 4 } else { hard };
        self.before = bytes;
        let is_small = bytes <= self.limits.wal_soft_limit || self.is_overdrawn();
        self.room = (!is_small).then(|| limit.saturating_sub(bytes));
        // A small WAL takes any transaction: a frame of the ledger that is larger than the limit must pass.
        if self.room.is_some_and(|room| self.growth > room) {
            return Err(Error::WalFull { bytes, limit: hard });
        }
        Ok(())
    }

    /// What the transaction that was admitted last may add, where that matters.
    pub(crate) fn room(&self) -> Option<u64> {
        self.room
    }

    pub(crate) fn is_overdrawn(&self) -> bool {
        self.overdraft.is_some_and(|end| Instant::now() < end)
    }

    fn hard_limit(&self) -> u64 {
        self.limits.hard_limit(bytes(&self.database))
    }

    pub(crate) fn limits(&self) -> &LdbLimits {
        &self.limits
    }

    /// Cuts the WAL if it is due, after a commit. A failure only means that it is tried again later.
    pub(crate) fn run(&mut self, crash: &Crash) -> Result<(), Error> {
        let bytes = self.wal_bytes();
        let grown = bytes.saturating_sub(self.before);
        self.growth = grown.max(self.growth - self.growth / 8);
        let half = self.limits.wal_soft_limit / 2;
        if self.before < half && bytes >= half {
            // Without a pause: what is in the database before the pause need not be written in it.
            drop(self.attempt(CheckpointMode::PASSIVE));
        }
        self.run_after(BETWEEN, crash)
    }

    /// The same while nothing is applied.
    pub(crate) fn run_idle(&mut self, crash: &Crash) -> Result<(), Error> {
        self.run_after(BETWEEN_IDLE, crash)
    }

    fn run_after(&mut self, rest: Duration, crash: &Crash) -> Result<(), Error> {
        let rested = self.last.is_none_or(|last| last.elapsed() >= rest);
        if !rested || self.wal_bytes() <= self.limits.wal_soft_limit {
            return Ok(());
        }
        let cut = self.cut(self.budget, crash)?;
        self.budget = if cut {
            self.budget.mul_f32(0.7).max(SHORTEST)
        } else {
            self.failures += 1;
            (self.budget * 2).min(self.longest)
        };
        self.last = Some(Instant::now());
        Ok(())
    }

    /// Cuts the WAL within the time; false when readers, or the disk, keep it.
    pub(crate) fn cut(&mut self, time: Duration, crash: &Crash) -> Result<bool, Error> {
        let end = Instant::now() + time;
        let done = self.backfill(end, crash)? && self.until(end, CheckpointMode::TRUNCATE);
        if done {
            self.pad();
            self.reset = Instant::now();
            crash.pass(Point::Cut)?;
        }
        Ok(done)
    }

    /// Brings all of the WAL into the database.
    pub(crate) fn backfill(&mut self, end: Instant, crash: &Crash) -> Result<bool, Error> {
        // A read transaction of ours puts a mark at the end, which new readers then share.
        let nudge = || self.connection.prepare_cached("PRAGMA schema_version")?.exists([]);
        if let Err(error) = nudge() {
            tracing::debug!(%error, "cannot mark the end of the WAL");
            return Ok(false);
        }
        crash.pass(Point::Nudged)?;
        let done = self.until(end, CheckpointMode::PASSIVE);
        crash.pass(Point::Backfilled)?;
        Ok(done)
    }

    fn until(&self, end: Instant, mode: CheckpointMode) -> bool {
        loop {
            match self.attempt(mode) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                Err(error) => {
                    // A full disk, for example; commits will tell of it.
                    tracing::debug!(%error, "the checkpoint failed");
                    return false;
                }
            }
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(NAP);
        }
    }

    /// Is all of the WAL in the database?
    fn attempt(&self, mode: CheckpointMode) -> rusqlite::Result<bool> {
        let (log, done) = self.connection.wal_checkpoint_v2(Some(MAIN_DB), mode)?;
        Ok(log == done)
    }
}

/// Waits for nobody.
fn connect(database: &Path) -> Result<Connection, Error> {
    let connection = generation::handle(database)?;
    connection.busy_timeout(Duration::ZERO).map_err(Error::sqlite("set up"))?;
    Ok(connection)
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::args::LdbLimits;
    use crate::ldb::Writer;

    #[test]
    fn a_wal_that_a_reader_held_is_cut_without_a_further_entry() {
        let soft = LdbLimits::default().wal_soft_limit;
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), LdbLimits::default()).unwrap();
        let make = "CREATE TABLE fam___tbl (id, n, PRIMARY KEY(id))";
        writer.connection.execute_batch(make).unwrap();
        let reader = rusqlite::Connection::open(dir.path().join("ldb.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM fam___tbl").unwrap();
        let row = "REPLACE INTO fam___tbl (id, n) VALUES (?, ?)";
        for n in 0..6 {
            writer.connection.execute(row, (n, vec![0_u8; 1 << 20])).unwrap();
        }
        writer.tidy();
        assert!(writer.wal_bytes() > soft, "the reader needs it");
        assert_eq!(writer.health().wal_failures, 1);
        drop(reader);
        writer.tidy();
        assert!(writer.wal_bytes() > soft, "asked again at once");
        writer.work.checkpoint.last = std::time::Instant::now().checked_sub(Duration::from_secs(6));
        writer.tidy();
        assert_eq!(writer.wal_bytes(), 0);
    }
}
