//! Opens the LDB directory, or makes it. After a crash at any point the next start goes on from what is there.
//!
//! A generation is built before `current` leads to it, so what `current` does not name is rubbish of a start that was
//! cut off.

use std::fs::{DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::{LeaderTs, Position, Seq};
use reader::layout;
use rusqlite::{Connection, OpenFlags};

use crate::ldb::apply::OpenFrame;
use crate::ldb::checkpoint::Checkpoint;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::ctl::Ctl;
use crate::ldb::lock::Lock;
use crate::ldb::schema::Columns;
use crate::ldb::{Error, authorize, file_control, schema};

/// A reader in the middle of a recovery is waited for this long.
pub(crate) const BUSY: Duration = Duration::from_secs(2);
/// Statements kept prepared: a few for each table that changes.
const STATEMENTS: usize = 256;
/// Negative, for it counts KiB and not pages. Taken only while large transactions need it.
const CACHE_KIB: i64 = -8192;
/// The first release without the bug that corrupts a file when the WAL is reset.
const LEAST_SQLITE: i32 = 3_051_003;

/// The one writer of an LDB.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) columns: Columns,
    pub(crate) ctl: Ctl,
    pub(crate) checkpoint: Checkpoint,
    /// As the file has it.
    pub(crate) position: Option<Position>,
    /// When the last entry applied was written, as far as the ledger knows.
    pub(crate) last_update: Option<LeaderTs>,
    pub(crate) open: Option<OpenFrame>,
    pub(crate) crash: Crash,
    file: PathBuf,
    generation: u64,
    // Last, so that nobody else comes in before the connection is closed.
    _lock: Lock,
}

impl Writer {
    /// Opens the directory, or makes it with an empty LDB.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, Crash::default())
    }

    pub(crate) fn open_with(dir: &Path, mut crash: Crash) -> Result<Self, Error> {
        if rusqlite::version_number() < LEAST_SQLITE {
            return Err(Error::OldSqlite { version: rusqlite::version() });
        }
        make_dir(dir)?;
        let lock = Lock::take(dir)?;
        crash.pass(Point::Locked)?;
        link_of_the_original(dir)?;
        let generation = match served(dir)? {
            Some(generation) => generation,
            None => first_generation(dir, &mut crash)?,
        };
        let file = dir.join(layout::generation_dir(generation)).join(layout::LDB);
        let connection = connect(&file)?;
        let mut wal = file.clone().into_os_string();
        wal.push("-wal");
        let mut writer = Self {
            connection,
            columns: Columns::default(),
            // Last to be made: whoever sees it finds all the rest.
            ctl: Ctl::open(dir)?,
            checkpoint: Checkpoint::new(wal.into()),
            position: None,
            last_update: None,
            open: None,
            crash,
            file,
            generation,
            _lock: lock,
        };
        writer.read_position()?;
        Ok(writer)
    }

    /// Starts anew on the same file after SQLite failed: what was not committed is gone.
    pub(crate) fn heal(&mut self) -> Result<(), Error> {
        self.open = None;
        self.columns.forget();
        if !self.connection.is_autocommit() {
            // Of no consequence: the connection is replaced.
            drop(self.connection.execute("ROLLBACK", []));
        }
        self.connection = connect(&self.file)?;
        self.read_position()
    }

    fn read_position(&mut self) -> Result<(), Error> {
        let books = |source| Error::Books { source };
        self.position = reader::meta::position(&self.connection).map_err(books)?;
        self.last_update = reader::meta::last_update(&self.connection).map_err(books)?;
        self.ctl.restore(self.generation, self.position.map_or(Seq::ZERO, |own| own.seq))
    }
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if dir.exists() {
        let what = "it is not a directory".to_owned();
        return Err(Error::Foreign { path: dir.to_owned(), what });
    }
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
    }
    // It appears under its name when it has its mode.
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = dir.with_file_name(name);
    new_dir(&new)?;
    match std::fs::rename(&new, dir) {
        Err(error) if !dir.is_dir() => Err(Error::file("make", dir)(error)),
        Err(_) => {
            // Another agent was faster; the lock decides.
            drop(std::fs::remove_dir(&new));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Readable for everybody, whatever the umask.
fn new_dir(dir: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Error::file("make", dir)(error));
        }
        Ok(()) | Err(_) => {}
    }
    std::fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(Error::file("open", dir))
}

/// The original's path leads to ours; a file of the original in its place is not ours to touch.
fn link_of_the_original(dir: &Path) -> Result<(), Error> {
    let path = dir.join(layout::LDB);
    let target = Path::new(layout::CURRENT).join(layout::LDB);
    match std::fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => {
            let found = std::fs::read_link(&path).map_err(Error::file("read", &path))?;
            if found == target {
                return Ok(());
            }
            Err(Error::Foreign { path, what: format!("it leads to {}", found.display()) })
        }
        Ok(_) => {
            let what = "it is an LDB of the original ctlstore".to_owned();
            Err(Error::Foreign { path, what })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            symlink(target, &path).map_err(Error::file("make", &path))
        }
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

/// The generation that `current` leads to; none before the first start is done.
fn served(dir: &Path) -> Result<Option<u64>, Error> {
    let path = dir.join(layout::CURRENT);
    match std::fs::read_link(&path) {
        Ok(target) => {
            let generation = target.to_str().and_then(layout::generation_of);
            let foreign = || Error::Foreign {
                path: path.clone(),
                what: format!("it leads to {}", target.display()),
            };
            generation.map(Some).ok_or_else(foreign)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

fn first_generation(dir: &Path, crash: &mut Crash) -> Result<u64, Error> {
    let generation = 1;
    let name = layout::generation_dir(generation);
    let folder = dir.join(&name);
    // Nobody can have seen it: `current` never led there.
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Error::file("remove", folder)(error));
        }
        Ok(()) | Err(_) => {}
    }
    new_dir(&folder)?;
    let file = folder.join(layout::LDB);
    make_file(&file)?;
    crash.pass(Point::FileMade)?;
    // The files beside it come into being with the first tables; they get its mode.
    schema::create(&connect(&file)?)?;
    crash.pass(Point::TablesMade)?;
    sync(&folder)?;
    let (next, current) = (dir.join("current.new"), dir.join(layout::CURRENT));
    drop(std::fs::remove_file(&next));
    symlink(&name, &next).map_err(Error::file("make", &next))?;
    std::fs::rename(&next, &current).map_err(Error::file("make", &current))?;
    sync(dir)?;
    crash.pass(Point::Linked)?;
    Ok(generation)
}

/// Before SQLite opens it, so that its mode does not depend on the umask.
fn make_file(path: &Path) -> Result<(), Error> {
    let make = || {
        let file = File::options().write(true).create_new(true).mode(0o644).open(path)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()
    };
    make().map_err(Error::file("make", path))
}

fn sync(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::file("sync", dir))
}

fn connect(file: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(Error::sqlite("open"))?;
    let settings = || {
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "wal")?;
        // Loses at most a tail in a power cut, which the ledger has.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // A transaction whose pages do not fit writes some of them twice.
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        // The root file system may be read-only.
        connection.pragma_update(None, "temp_store", "memory")
    };
    settings().map_err(Error::sqlite("set up"))?;
    file_control::persist_wal(&connection)?;
    schema::check(&connection, file)?;
    authorize::restrict(&mut connection)?;
    Ok(connection)
}
