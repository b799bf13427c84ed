//! The LDB of this node: opening it, following its generations, lending connections to reads.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ledger::{FamilyName, LdbTable, Position, Seq};

use crate::ctl::Ctl;
use crate::layout::{CTL, CURRENT, LDB};
use crate::retry::{Next, Retry};
use crate::session::{Keeper, Session, View};
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
    /// The newest generation that was opened. No read goes back behind it.
    answered: AtomicU64,
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
        let dir = directory_of(path);
        let ctl = Ctl::open(&dir.join(CTL)).or_else(|error| match error {
            // It is a file, so nothing can lie in it.
            Error::Ctl { source, .. } if source.kind() == std::io::ErrorKind::NotADirectory => {
                Ok(None)
            }
            other => Err(other),
        })?;
        let file = match ctl {
            Some(_) => Some(dir.join(CURRENT).join(LDB)),
            // An agent that starts here for the first time makes `ctl` last.
            None if dir.join(CURRENT).is_symlink() => None,
            None if dir.is_dir() => Some(dir.join(LDB)),
            None => Some(dir.to_owned()),
        };
        // Asked without opening the file: a process must not open and close one that it has open in SQLite.
        let file = file.filter(|file| file.exists());
        let file = file.ok_or_else(|| Error::NoLdb { path: path.to_owned() })?;
        let ldb = Self(Arc::new(Inner {
            file,
            ctl,
            idle: Mutex::default(),
            answered: AtomicU64::new(0),
        }));
        ldb.read(|_| Ok(()))?;
        Ok(ldb)
    }

    /// A family of tables.
    ///
    /// # Errors
    /// The name is impossible, or the LDB has no table of this family ([`Error::is_not_found`]).
    pub fn family(&self, name: &str) -> Result<Family, Error> {
        let family = FamilyName::parse_folded(name)?;
        if self.read(|view| Ok(view.tables_of(&family)?.is_empty()))? {
            return Err(Error::UnknownFamily { family });
        }
        Ok(Family::new(self.clone(), family))
    }

    /// The families that have tables here, by name.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn families(&self) -> Result<Vec<FamilyName>, Error> {
        self.read(|view| {
            let families = view.tables()?.iter().map(LdbTable::family);
            let mut families: Vec<_> = families.cloned().collect();
            families.dedup();
            Ok(families)
        })
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

    /// Runs `read` on one state of the LDB, and again after what passes by itself.
    pub(crate) fn read<T>(
        &self,
        mut read: impl FnMut(&mut View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut retry = Retry::new();
        loop {
            let error = match self.attempt(&mut read) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let source = error.passing()?;
            match retry.failed() {
                Next::Again => {}
                // A process holds on to what a dead agent left behind until the last of its connections is closed.
                Next::Reopen => self.idle().clear(),
                Next::GiveUp => {
                    let (path, tries) = (self.0.file.clone(), retry.tries);
                    return Err(Error::Unavailable { path, tries, source });
                }
            }
        }
    }

    fn attempt<T>(
        &self,
        read: &mut impl FnMut(&mut View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut session = self.session()?;
        let outcome = session.view(read);
        self.give_back(session);
        outcome
    }

    /// A connection to the served generation. While that one was never opened, and cannot be, one to the generation
    /// before.
    fn session(&self) -> Result<Session, Error> {
        let generation = match &self.0.ctl {
            Some(ctl) => {
                ctl.check_reader()?;
                ctl.generation()
            }
            None => 0,
        };
        let last = self.idle().pop();
        match last {
            Some(session) if session.generation == generation => Ok(session),
            before => match self.open_session(generation) {
                Ok(session) => Ok(session),
                Err(error) => {
                    let answered = self.0.answered.load(Ordering::Acquire);
                    before.filter(|before| before.generation >= answered).ok_or(error)
                }
            },
        }
    }

    fn open_session(&self, generation: u64) -> Result<Session, Error> {
        let keeper = if self.0.ctl.is_some() { Keeper::Agent } else { Keeper::Original };
        let session = Session::open(&self.0.file, keeper, generation)?;
        if self.0.answered.fetch_max(generation, Ordering::AcqRel) < generation {
            // The others would keep the old files on the disk.
            self.idle().retain(|idle| idle.generation >= generation);
        }
        Ok(session)
    }

    fn give_back(&self, session: Session) {
        let mut idle = self.idle();
        // One that failed in the middle is of no more use, nor is one to a file that was replaced.
        let replaced = session.generation < self.0.answered.load(Ordering::Acquire);
        if session.is_idle() && !replaced && idle.len() < MOST_IDLE {
            idle.push(session);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        // A panic elsewhere leaves whole connections behind.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agent's directory, also when the original's path of the file in it is named: that one is a link to the generation
/// that is served now, and would never lead to a later one.
fn directory_of(path: &Path) -> &Path {
    let is_agents = |dir: &Path| dir.join(CTL).exists() || dir.join(CURRENT).is_symlink();
    match path.parent() {
        Some(dir) if path.file_name().is_some_and(|name| name == LDB) && is_agents(dir) => dir,
        Some(_) | None => path,
    }
}

impl std::fmt::Debug for Ldb {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ldb").field("file", &self.0.file).field("ctl", &self.0.ctl).finish()
    }
}

#[cfg(test)]
mod tests;
