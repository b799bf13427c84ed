//! A folder as a store. Several processes may share it: an object appears by link(2) or rename(2), and a put that depends
//! on what is there holds an flock.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use ledger::snapshot::ObjectKey;

use crate::clock::from_system;
use crate::{Condition, Found, Kind, Listed, Stat, Store, StoreError, Tag};

/// Where files are written before they have their name; what lies there for longer than [`STALE`] is of a crash.
const WORK: &str = ".work";
const LOCK: &str = ".lock";
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Somebody who holds the lock for longer is frozen.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// A folder.
#[derive(Debug, Clone)]
pub struct FileStore {
    dir: Arc<PathBuf>,
}

impl FileStore {
    /// The folder must be there when it is used: a mount that is missing is not made up for.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir: Arc::new(dir) }
    }

    /// Runs where blocking is allowed.
    async fn run<T: Send + 'static>(
        &self,
        verb: &'static str,
        object: &str,
        work: impl FnOnce(&Path) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, StoreError> {
        let dir = Arc::clone(&self.dir);
        let place = self.dir.join(object).display().to_string();
        let done = tokio::task::spawn_blocking(move || match dir.is_dir() {
            true => work(&dir),
            false => Err(Kind::NoBucket.into()),
        });
        let outcome = done.await.unwrap_or_else(|panic| Err(io::Error::other(panic).into()));
        outcome.map_err(|Failed { kind, source }| match source {
            Some(source) => StoreError::new(verb, place, kind).caused_by(source),
            None => StoreError::new(verb, place, kind),
        })
    }
}

#[async_trait]
impl Store for FileStore {
    fn place(&self) -> String {
        format!("file://{}", self.dir.display())
    }

    async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Found, StoreError> {
        let path = key.to_string();
        let read = move |dir: &Path| {
            let file = File::open(dir.join(path))?;
            let mut bytes = Vec::new();
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            if u64::try_from(bytes.len()).is_ok_and(|read| read > limit) {
                return Err(Kind::TooLarge.into());
            }
            Ok(Found { tag: tag(&bytes), bytes })
        };
        self.run("read", key.as_str(), read).await
    }

    async fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let path = key.to_string();
        let read = move |dir: &Path| {
            let mut file = File::open(dir.join(path))?;
            file.seek(SeekFrom::Start(offset))?;
            let mut range = Vec::new();
            file.take(bytes).read_to_end(&mut range)?;
            Ok(range)
        };
        self.run("read", key.as_str(), read).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Stat, StoreError> {
        let path = key.to_string();
        let look = move |dir: &Path| {
            let found = fs::metadata(dir.join(path))?;
            if !found.is_file() {
                return Err(Kind::NotFound.into());
            }
            let modified = from_system(found.modified()?);
            Ok(Stat { bytes: found.len(), modified, checksum: None })
        };
        self.run("look at", key.as_str(), look).await
    }

    async fn put(&self, key: &ObjectKey, body: Vec<u8>, when: Condition) -> Result<(), StoreError> {
        let path = key.to_string();
        let write = move |dir: &Path| {
            let new = New::write(dir, |file| file.write_all(&body))?;
            new.publish(dir, &dir.join(path), &when)
        };
        self.run("write", key.as_str(), write).await
    }

    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &Path,
        _checksum: &str,
    ) -> Result<(), StoreError> {
        let (path, file) = (key.to_string(), file.to_owned());
        let write = move |dir: &Path| {
            let mut from = File::open(file)?;
            let new = New::write(dir, |to| io::copy(&mut from, to).map(drop))?;
            new.publish(dir, &dir.join(path), &Condition::Always)
        };
        self.run("write", key.as_str(), write).await
    }

    async fn list(
        &self,
        prefix: &str,
        each: &mut (dyn FnMut(Listed) + Send),
    ) -> Result<(), StoreError> {
        let wanted = prefix.to_owned();
        let walk = move |dir: &Path| {
            let mut found = Vec::new();
            walk(dir, "", &wanted, &mut found)?;
            Ok(found)
        };
        self.run("list", prefix, walk).await?.into_iter().for_each(each);
        Ok(())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let path = key.to_string();
        let remove = move |dir: &Path| {
            let _lock = lock(dir)?;
            absent_is_fine(fs::remove_file(dir.join(path)))
        };
        self.run("remove", key.as_str(), remove).await
    }
}

/// A file that has no name yet; it vanishes if it gets none.
struct New(PathBuf);

impl New {
    fn write(dir: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<Self, Failed> {
        let work = dir.join(WORK);
        match fs::create_dir(&work) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        sweep(&work)?;
        let new = Self(work.join(format!("{:032x}", rand::random::<u128>())));
        let mut file = File::options().write(true).create_new(true).open(&new.0)?;
        fill(&mut file)?;
        file.sync_all()?;
        Ok(new)
    }

    fn publish(&self, dir: &Path, path: &Path, when: &Condition) -> Result<(), Failed> {
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

fn walk(folder: &Path, key: &str, prefix: &str, found: &mut Vec<Listed>) -> Result<(), Failed> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is no text is none of ours.
        let Ok(name) = OsString::into_string(entry.file_name()) else { continue };
        // Removed since, by a collector.
        let Ok(metadata) = entry.metadata() else { continue };
        if key.is_empty() && (name == WORK || name == LOCK) {
            continue;
        }
        let key = format!("{key}{name}");
        if metadata.is_dir() {
            let inside = format!("{key}/");
            if inside.starts_with(prefix) || prefix.starts_with(&inside) {
                walk(&entry.path(), &inside, prefix, found)?;
            }
        } else if metadata.is_file() && key.starts_with(prefix) {
            let modified = from_system(metadata.modified()?);
            found.push(Listed { key, bytes: metadata.len(), modified });
        }
    }
    Ok(())
}

/// Held while the file lives.
fn lock(dir: &Path) -> Result<File, Failed> {
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

fn tag(bytes: &[u8]) -> Tag {
    Tag(blake3::hash(bytes).to_string())
}

fn absent_is_fine(done: io::Result<()>) -> Result<(), Failed> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Before it is known which object it was.
struct Failed {
    kind: Kind,
    source: Option<io::Error>,
}

impl From<Kind> for Failed {
    fn from(kind: Kind) -> Self {
        Self { kind, source: None }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
                Kind::NotFound
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            _ => Kind::Unavailable,
        };
        Self { kind, source: Some(error) }
    }
}
