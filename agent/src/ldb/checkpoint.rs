//! Keeps the WAL small. SQLite's own checkpoints never reset it while readers come through a read-only mount, for those
//! can share marks in the WAL but move none. So the one writer pauses, moves a mark to the end itself, waits until
//! readers have joined it, and cuts the WAL, all within a budget that adapts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Below this, the WAL is left alone.
const SOFT_LIMIT: u64 = 4 << 20;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(250);
/// Without new entries the WAL does not grow, so a reader that is stuck is asked less often.
const BETWEEN_IDLE: Duration = Duration::from_secs(5);
const NAP: Duration = Duration::from_micros(300);

#[derive(Debug)]
pub(crate) struct Checkpoint {
    wal: PathBuf,
    budget: Duration,
    last: Option<Instant>,
}

impl Checkpoint {
    pub(crate) fn new(wal: PathBuf) -> Self {
        Self { wal, budget: SHORTEST, last: None }
    }

    /// The size of the WAL. Asks for the file's metadata only: opening and closing a file of SQLite's in this process
    /// would drop SQLite's locks.
    pub(crate) fn wal_bytes(&self) -> u64 {
        std::fs::metadata(&self.wal).map_or(0, |metadata| metadata.len())
    }

    /// Cuts the WAL if it is due. A failure only means that it is tried again later.
    pub(crate) fn run(&mut self, connection: &Connection) {
        self.run_after(BETWEEN, connection);
    }

    /// The same while nothing is applied.
    pub(crate) fn run_idle(&mut self, connection: &Connection) {
        self.run_after(BETWEEN_IDLE, connection);
    }

    fn run_after(&mut self, rest: Duration, connection: &Connection) {
        let rested = self.last.is_none_or(|last| last.elapsed() >= rest);
        if !rested || self.wal_bytes() <= SOFT_LIMIT {
            return;
        }
        let done = self.cut(connection).unwrap_or_else(|error| {
            tracing::debug!(%error, "the checkpoint failed");
            false
        });
        self.budget = if done {
            self.budget.mul_f32(0.7).max(SHORTEST)
        } else {
            (self.budget * 2).min(LONGEST)
        };
        self.last = Some(Instant::now());
    }

    fn cut(&self, connection: &Connection) -> rusqlite::Result<bool> {
        // A read transaction of ours puts a mark at the end, which new readers then share.
        connection.prepare_cached("SELECT seq FROM _ldb_seq")?.exists([])?;
        let whole = |(_, log, done): (i64, i64, i64)| log == done;
        if !self.within_budget(|| pragma(connection, "PASSIVE").map(whole))? {
            return Ok(false);
        }
        connection.busy_timeout(Duration::ZERO)?;
        let cut = self.within_budget(|| pragma(connection, "TRUNCATE").map(|(busy, ..)| busy == 0));
        connection.busy_timeout(crate::ldb::open::BUSY)?;
        cut
    }

    fn within_budget(
        &self,
        mut attempt: impl FnMut() -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<bool> {
        let start = Instant::now();
        loop {
            if attempt()? {
                return Ok(true);
            }
            if start.elapsed() >= self.budget {
                return Ok(false);
            }
            std::thread::sleep(NAP);
        }
    }
}

/// Was it kept from finishing, how many pages has the WAL, how many of them are in the database?
fn pragma(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::SOFT_LIMIT;
    use crate::ldb::Writer;

    #[test]
    fn a_wal_that_a_reader_held_is_cut_without_a_further_entry() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let make = "CREATE TABLE fam___tbl (id, n, PRIMARY KEY(id))";
        writer.connection.execute_batch(make).unwrap();
        let reader = rusqlite::Connection::open(dir.path().join("ldb.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM fam___tbl").unwrap();
        let row = "REPLACE INTO fam___tbl (id, n) VALUES (?, ?)";
        for n in 0..6 {
            writer.connection.execute(row, (n, vec![0_u8; 1 << 20])).unwrap();
        }
        writer.tidy();
        assert!(writer.wal_bytes() > SOFT_LIMIT, "the reader needs it");
        drop(reader);
        writer.tidy();
        assert!(writer.wal_bytes() > SOFT_LIMIT, "asked again at once");
        writer.checkpoint.last = writer.checkpoint.last.map(|last| last - Duration::from_secs(6));
        writer.tidy();
        assert_eq!(writer.wal_bytes(), 0);
    }
}
