//! Where the file is: finding it, and opening the generation of it that is served.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::connect::Keeper;
use crate::ctl::Ctl;
use crate::layout::{CTL, CURRENT, LDB, generation_dir};
use crate::session::Session;
use crate::{Error, clock, process};

/// A generation that cannot be opened is tried again after this long; reads go on from the one before.
const TRY_AGAIN_MS: u64 = 10;

/// Where an LDB is.
pub(crate) struct Place {
    location: Location,
    /// The newest generation that was opened. No read goes back behind it.
    answered: AtomicU64,
    /// When the served generation could not be opened the last time.
    refused_at_ms: AtomicU64,
}

enum Location {
    /// The directory of an agent.
    Agent { dir: PathBuf, ctl: Ctl },
    /// A file of the original, or a copy.
    File(PathBuf),
}

impl Place {
    /// Finds the LDB that this path means.
    ///
    /// # Errors
    /// There is none, or it may not be read.
    pub(crate) fn find(path: &Path) -> Result<Self, Error> {
        let location = locate(directory_of(path))?;
        let location = location.ok_or_else(|| Error::NoLdb { path: path.to_owned() })?;
        Ok(Self { location, answered: AtomicU64::new(0), refused_at_ms: AtomicU64::new(0) })
    }

    /// The control page. None without an agent's directory.
    #[inline]
    pub(crate) fn ctl(&self) -> Option<&Ctl> {
        match &self.location {
            Location::Agent { ctl, .. } => Some(ctl),
            Location::File(_) => None,
        }
    }

    /// The control page's own path.
    pub(crate) fn ctl_path(&self) -> PathBuf {
        self.path().join(CTL)
    }

    /// The generation that is served; 0 where there are none.
    pub(crate) fn generation(&self) -> u64 {
        self.ctl().map_or(0, Ctl::generation)
    }

    /// By the number, not through the symlink: the agent moves that one before it says so.
    pub(crate) fn file(&self, generation: u64) -> PathBuf {
        match &self.location {
            Location::Agent { dir, .. } => dir.join(generation_dir(generation)).join(LDB),
            Location::File(file) => file.clone(),
        }
    }

    /// Who keeps the file.
    pub(crate) fn keeper(&self) -> Keeper {
        match &self.location {
            Location::Agent { .. } => Keeper::Agent,
            Location::File(_) => Keeper::Original,
        }
    }

    /// The directory or the file.
    pub(crate) fn path(&self) -> &Path {
        match &self.location {
            Location::Agent { dir, .. } => dir,
            Location::File(file) => file,
        }
    }

    /// Connects to a generation in the place of `before`. None while that one cannot be opened, and no later one than
    /// `before` was: reads go on from there. The process's gate must be held.
    ///
    /// # Errors
    /// It cannot be opened, and there is nothing to go on from.
    pub(crate) fn follow(
        &self,
        before: Option<&Session>,
        generation: u64,
    ) -> Result<Option<Session>, Error> {
        let now = clock::coarse_ms();
        let answered = self.answered.load(Ordering::Acquire);
        let goes_on = before.is_some_and(|before| before.generation >= answered);
        let refused = self.refused_at_ms.load(Ordering::Relaxed);
        if goes_on && now.saturating_sub(refused) < TRY_AGAIN_MS {
            return Ok(None);
        }
        match Session::open(&self.file(generation), self.keeper(), generation) {
            Ok(opened) => {
                self.answered.fetch_max(generation, Ordering::AcqRel);
                Ok(Some(opened))
            }
            Err(_) if goes_on => {
                self.refused_at_ms.store(now, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Has this generation been opened in this process, or can it be?
    pub(crate) fn answers(&self, generation: u64) -> bool {
        if self.answered.load(Ordering::Acquire) >= generation {
            return true;
        }
        let _gate = process::gate();
        self.follow(None, generation).is_ok()
    }
}

fn locate(dir: &Path) -> Result<Option<Location>, Error> {
    let ctl = Ctl::open(&dir.join(CTL)).or_else(|error| match error {
        // It is a file, so nothing can lie in it.
        Error::Ctl { source, .. } if source.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
        other => Err(other),
    })?;
    let place = match ctl {
        // An agent that starts here for the first time has a page before it has a generation.
        Some(ctl) if ctl.generation() == 0 => None,
        Some(ctl) => Some(Location::Agent { dir: dir.to_owned(), ctl }),
        // Or makes its page last.
        None if dir.join(CURRENT).is_symlink() => None,
        None if dir.is_dir() => Some(Location::File(dir.join(LDB))),
        None => Some(Location::File(dir.to_owned())),
    };
    // Asked without opening the file: a process must not open and close one that it has open in SQLite.
    Ok(place.filter(|place| match place {
        Location::Agent { .. } => true,
        Location::File(file) => file.exists(),
    }))
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
