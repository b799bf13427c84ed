//! A new object in a folder: written beside the others, on disk as a whole, and then given its name.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::file::{Failed, absent_is_fine, tag};
use crate::{Condition, Kind, Tag};

/// Where files are written before they have their name; what lies there for longer than [`STALE`] is of a crash.
pub(super) const WORK: &str = ".work";
pub(super) const LOCK: &str = ".lock";
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Somebody who holds the lock for longer is frozen.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// A file that has no name yet; it vanishes if it gets none.
pub(super) struct New(PathBuf);

impl New {
    pub(super) fn write(dir: &Path, body: &[u8]) -> Result<Self, Failed> {
        let (new, mut file) = Self::begin(dir)?;
        file.write_all(body)?;
        file.sync_all()?;
        Ok(new)
    }

    pub(super) fn begin(dir: &Path) -> Result<(Self, File), Failed> {
        let work = dir.join(WORK);
        match fs::create_dir(&work) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        sweep(&work)?;
        let new = Self(work.join(format!("{:032x}", rand::random::<u128>())));
        let file = File::options().write(true).create_new(true).open(&new.0)?;
        Ok((new, file))
    }

    pub(super) fn publish(&self, dir: &Path, path: &Path, when: &Condition) -> Result<(), Failed> {
        let folder = path.parent().ok_or(Kind::Refused)?;
        fs::create_dir_all(folder)?;
        match when {
            Condition::Absent => match fs::hard_link(&self.0, path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    return Err(Kind::Changed.into());
                }
                done => done?,
            },
            Condition::Always => {
                let _lock = lock(dir)?;
                fs::rename(&self.0, path)?;
            }
            Condition::Is(tag) => {
                let _lock = lock(dir)?;
                if !self.replaces(path, tag)? {
                    return Err(Kind::Changed.into());
                }
                fs::rename(&self.0, path)?;
            }
        }
        File::open(folder)?.sync_all()?;
        Ok(())
    }

    fn replaces(&self, path: &Path, wanted: &Tag) -> Result<bool, Failed> {
        match fs::read(path) {
            Ok(bytes) => Ok(tag(&bytes) == *wanted),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // Renamed away, or rubbish that a later sweep finds again.
        drop(fs::remove_file(&self.0));
    }
}

/// Removes what crashes left.
fn sweep(work: &Path) -> Result<(), Failed> {
    for entry in fs::read_dir(work)? {
        let entry = entry?;
        // Somebody else may remove it first.
        let Ok(modified) = entry.metadata().and_then(|found| found.modified()) else { continue };
        if SystemTime::now().duration_since(modified).is_ok_and(|age| age > STALE) {
            absent_is_fine(fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

/// Held while the file lives.
pub(super) fn lock(dir: &Path) -> Result<File, Failed> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                let frozen = io::Error::other("another process holds the folder's lock");
                return Err(frozen.into());
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}
