//! One generation: a file that is opened for writing, to be built, served, or kept for those who still have it open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ledger::{LeaderTs, Position, Seq};
use reader::layout;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::args::LdbLimits;
use crate::ldb::apply::OpenTransaction;
use crate::ldb::checkpoint::Checkpoint;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::ctl::Teller;
use crate::ldb::feed::Feed;
use crate::ldb::files::Files;
use crate::ldb::schema::Columns;
use crate::ldb::{Error, authorize, dir, file_control, schema};

/// A reader in the middle of a recovery is waited for this long.
pub(crate) const BUSY: Duration = Duration::from_secs(2);
/// Statements kept prepared: a few for each table that changes.
const STATEMENTS: usize = 256;
/// Of pages that a transaction changed and that are not in the WAL yet. Taken only while large transactions need it.
const LARGEST_CACHE: u64 = 8 << 20;
const LEAST_CACHE: u64 = 64 << 10;

/// What is the same for all generations of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    pub(crate) limits: LdbLimits,
    pub(crate) crash: Crash,
}

#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) connection: Connection,
    pub(crate) columns: Columns,
    /// Nobody is told of commits in a generation that is not served.
    pub(crate) ctl: Teller,
    pub(crate) feed: Feed,
    pub(crate) checkpoint: Checkpoint,
    /// As the file has it.
    pub(crate) position: Option<Position>,
    /// When the last entry applied was written, as far as the ledger knows.
    pub(crate) last_update: Option<LeaderTs>,
    pub(crate) open: Option<OpenTransaction>,
    pub(crate) crash: Crash,
    pub(crate) number: u64,
    pub(crate) folder: PathBuf,
    // Last: they may be closed only after the connections.
    pub(crate) files: Arc<Files>,
}

impl Generation {
    /// Opens a file that is there, as one that is not served. `-wal` and `-shm` exist afterwards.
    pub(crate) fn open(folder: PathBuf, number: u64, setting: &Setting) -> Result<Self, Error> {
        let Setting { limits, crash } = setting.clone();
        let file = folder.join(layout::LDB);
        let connection = connect(&file, &limits)?;
        let checkpoint = Checkpoint::new(&file, limits)?;
        let files = Arc::new(Files::open(&file)?);
        let mut generation = Self {
            connection,
            columns: Columns::default(),
            ctl: Teller::default(),
            feed: Feed::default(),
            checkpoint,
            position: None,
            last_update: None,
            open: None,
            crash,
            number,
            folder,
            files,
        };
        generation.read_books()?;
        generation.checkpoint.pad();
        Ok(generation)
    }

    /// Makes an empty LDB in a folder and opens it.
    pub(crate) fn create(folder: PathBuf, number: u64, setting: &Setting) -> Result<Self, Error> {
        let file = folder.join(layout::LDB);
        dir::make_file(&file)?;
        setting.crash.pass(Point::FileMade)?;
        // The files beside it come into being with the first tables; they get its mode.
        schema::create(&connect(&file, &setting.limits)?)?;
        setting.crash.pass(Point::TablesMade)?;
        dir::sync(&folder)?;
        Self::open(folder, number, setting)
    }

    /// Starts anew on the same file after SQLite failed: what was not committed is gone.
    pub(crate) fn reopen(&mut self) -> Result<(), Error> {
        self.open = None;
        self.columns.forget();
        if !self.connection.is_autocommit() {
            // Of no consequence: the connection is replaced.
            drop(self.connection.execute("ROLLBACK", []));
        }
        self.connection = connect(&self.file(), self.checkpoint.limits())?;
        self.checkpoint.reopen()?;
        self.read_books()?;
        // A commit that failed may have been made.
        self.feed.stands(self.position.as_ref());
        Ok(())
    }

    /// Looks whether the file is whole, page by page.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sql = "PRAGMA quick_check(1)";
        let found = self.connection.query_row(sql, [], |row| row.get::<_, String>(0));
        match found.map_err(Error::sqlite("check"))?.as_str() {
            "ok" => Ok(()),
            what => Err(Error::Damaged { path: self.file(), what: what.replace('\n', " ") }),
        }
    }

    pub(crate) fn seq(&self) -> Seq {
        self.position.map_or(Seq::ZERO, |own| own.seq)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(layout::LDB)
    }

    /// Closes it without moving the WAL, for the file goes away.
    pub(crate) fn discard(self) {
        let setting = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        // Only saves time.
        drop(self.connection.set_db_config(setting, true));
    }

    fn read_books(&mut self) -> Result<(), Error> {
        let books = |source| Error::Books { source };
        self.position = reader::meta::position(&self.connection).map_err(books)?;
        self.last_update = reader::meta::last_update(&self.connection).map_err(books)?;
        let seq = reader::meta::seq(&self.connection).map_err(books)?.unwrap_or(Seq::ZERO);
        if self.position.is_some() && seq != self.seq() {
            let what = format!("_ldb_seq says {seq} and _ldb_meta says {}", self.seq());
            return Err(Error::Damaged { path: self.file(), what });
        }
        Ok(())
    }
}

/// The path of a file that SQLite keeps beside the database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A connection that can write and does not yet; the file must be there.
pub(crate) fn handle(file: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(Error::sqlite("open"))?;
    file_control::persist_wal(&connection)?;
    Ok(connection)
}

/// A transaction begins with a WAL up to the soft limit, and is ended when the cache flows over into it; all of the cache
/// is then to fit below the hard limit. Only a transaction of the ledger that is larger may pass that.
fn cache(limits: &LdbLimits) -> u64 {
    let room = limits.least_hard_limit().saturating_sub(limits.wal_soft_limit);
    room.saturating_sub(2 * limits.slack()).clamp(LEAST_CACHE, LARGEST_CACHE)
}

/// The connection that applies.
fn connect(file: &Path, limits: &LdbLimits) -> Result<Connection, Error> {
    let kib = i64::try_from(cache(limits) >> 10).expect("BUG: it is bounded");
    let mut connection = handle(file)?;
    let settings = || {
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "wal")?;
        // Loses at most a tail in a power cut, which the ledger has.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // A transaction whose pages do not fit writes some of them twice.
        connection.pragma_update(None, "cache_size", -kib)?;
        // The root file system may be read-only.
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))
    };
    let mode = settings().map_err(Error::sqlite("set up"))?;
    if mode != "wal" {
        let what = format!("its journal mode is {mode:?} and cannot be changed");
        return Err(Error::Damaged { path: file.to_owned(), what });
    }
    schema::check(&connection, file)?;
    authorize::restrict(&mut connection)?;
    Ok(connection)
}
