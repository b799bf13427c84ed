//! The LDB of this node: opening it, following its generations, lending connections to reads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ledger::{FamilyName, LdbTable, Position, Seq};

use crate::ctl::Ctl;
use crate::layout::{CTL, CURRENT, LDB};
use crate::retry::{Next, Retry};
use crate::session::{Session, View};
use crate::{Error, Family, meta};

/// Idle connections kept; a program that reads from more threads at once opens more and closes them again.
const MOST_IDLE: usize = 64;

/// The control data of this node. Clones share connections.
#[derive(Clone)]
pub struct Ldb(Arc<Inner>);

struct Inner {
    /// The database, through the symlink that the agent moves.
    file: PathBuf,
    /// None in a directory of the original.
    ctl: Option<Ctl>,
    idle: Mutex<Vec<Session>>,
}

impl Ldb {
    /// Opens the directory of an agent. A directory or a file of the original ctlstore can be read too.
    ///
    /// The directory may be mounted read-only and belong to another user.
    ///
    /// # Errors
    /// There is no LDB ([`Error::is_not_found`]), or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let ctl = Ctl::open(&path.join(CTL)).or_else(|error| match error {
            // `path` is a file, so nothing can lie in it.
            Error::Ctl { source, .. } if source.kind() == std::io::ErrorKind::NotADirectory => {
                Ok(None)
            }
            other => Err(other),
        })?;
        let file = match ctl {
            Some(_) => path.join(CURRENT).join(LDB),
            None if path.is_dir() => path.join(LDB),
            None => path.to_owned(),
        };
        // Asked without opening the file: a process must not open and close one that it has open in SQLite.
        if !file.exists() {
            return Err(Error::NoLdb { path: path.to_owned() });
        }
        let ldb = Self(Arc::new(Inner { file, ctl, idle: Mutex::new(Vec::new()) }));
        ldb.read(|_| Ok(()))?;
        Ok(ldb)
    }

    /// A family of tables.
    ///
    /// # Errors
    /// The name is impossible, or the LDB has no table of this family ([`Error::is_not_found`]).
    pub fn family(&self, name: &str) -> Result<Family, Error> {
        let name = FamilyName::parse_folded(name)?;
        let family = Family::new(self.clone(), name);
        if family.tables()?.is_empty() {
            return Err(Error::UnknownFamily { family: family.name().clone() });
        }
        Ok(family)
    }

    /// The families that have tables here, by name.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn families(&self) -> Result<Vec<FamilyName>, Error> {
        let mut families: Vec<_> =
            self.tables()?.iter().map(|table| table.family().clone()).collect();
        families.dedup();
        Ok(families)
    }

    /// Where the LDB stands in the ledger. None while nothing is applied, and in an LDB of the original (see
    /// [`Ldb::seq`]).
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn position(&self) -> Result<Option<Position>, Error> {
        self.read(|view| meta::position(view.connection))
    }

    /// The last ledger sequence applied; 0 while nothing is applied.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn seq(&self) -> Result<Seq, Error> {
        self.read(|view| Ok(meta::seq(view.connection)?.unwrap_or(Seq::ZERO)))
    }

    /// How long ago the last entry applied was written, by the clocks of its writer and of this node. None while no
    /// entry is applied. It rises while nobody writes.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn latency(&self) -> Result<Option<Duration>, Error> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let since = |micros: i64| {
            let written = Duration::from_micros(u64::try_from(micros).unwrap_or_default());
            now.saturating_sub(written)
        };
        let last = self.read(|view| meta::last_update(view.connection))?;
        Ok(last.map(|time| since(time.as_micros())))
    }

    /// The number of the file that is served: it rises when the agent replaces the file as a whole, which reads follow
    /// by themselves. 0 in a directory of the original.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.ctl.as_ref().map_or(0, Ctl::generation)
    }

    /// All tables, by name.
    pub(crate) fn tables(&self) -> Result<Vec<LdbTable>, Error> {
        self.read(|view| {
            let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
            let mut statement = view.connection.prepare_cached(sql)?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            let mut tables = Vec::new();
            for name in names {
                tables.extend(LdbTable::parse(&name?).ok());
            }
            tables.sort();
            Ok(tables)
        })
    }

    /// Runs `read` on one state of the LDB, and again after what passes by itself.
    pub(crate) fn read<T>(
        &self,
        mut read: impl FnMut(&mut View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut retry = Retry::new();
        loop {
            let error = match self.session() {
                Err(error) => error,
                Ok(mut session) => {
                    let outcome = session.view(&mut read);
                    self.give_back(session);
                    match outcome {
                        Ok(value) => return Ok(value),
                        Err(error) => error,
                    }
                }
            };
            let source = error.passing()?;
            match retry.failed() {
                Next::Again => {}
                Next::Reopen => self.idle().clear(),
                Next::GiveUp => {
                    let (path, tries) = (self.0.file.clone(), retry.tries);
                    return Err(Error::Unavailable { path, tries, source });
                }
            }
        }
    }

    /// A connection to the served generation. While that one cannot be opened, one to the generation before.
    fn session(&self) -> Result<Session, Error> {
        let generation = self.generation();
        let last = self.idle().pop();
        match last {
            Some(session) if session.generation == generation => Ok(session),
            Some(before) => match Session::open(&self.0.file, generation) {
                Ok(session) => {
                    // The others would keep the old files on the disk.
                    self.idle().retain(|idle| idle.generation == generation);
                    Ok(session)
                }
                Err(_) => Ok(before),
            },
            None => Session::open(&self.0.file, generation),
        }
    }

    fn give_back(&self, session: Session) {
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push(session);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        // A panic elsewhere leaves whole connections behind.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Ldb {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ldb").field("file", &self.0.file).field("ctl", &self.0.ctl).finish()
    }
}
