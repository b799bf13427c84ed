//! A folder as a store. Several processes may share it: an object appears by link(2) or rename(2), and a put that depends
//! on what is there holds an flock (`new`).

mod new;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use ledger::snapshot::ObjectKey;

use crate::clock::from_system;
use crate::file::new::{LOCK, New, WORK, lock};
use crate::{Condition, Found, Kind, Listed, Rate, Stat, Store, StoreError, Tag};

/// A file is copied so many bytes at once: then the copy may be waited for, or be given up.
const CHUNK: u64 = 4 << 20;

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
            let new = New::write(dir, &body)?;
            new.publish(dir, &dir.join(path), &when)
        };
        self.run("write", key.as_str(), write).await
    }

    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &Path,
        _checksum: &str,
        rate: Rate,
    ) -> Result<(), StoreError> {
        let (path, file) = (key.to_string(), file.to_owned());
        let begin = move |dir: &Path| Ok((File::open(file)?, New::begin(dir)?));
        let (mut from, (new, mut to)) = self.run("write", key.as_str(), begin).await?;
        loop {
            let start = tokio::time::Instant::now();
            let copy = move |_: &Path| {
                let copied = io::copy(&mut (&from).take(CHUNK), &mut to)?;
                Ok((from, to, copied))
            };
            let copied;
            (from, to, copied) = self.run("write", key.as_str(), copy).await?;
            if copied == 0 {
                break;
            }
            rate.pace(start, copied).await;
        }
        let publish = move |dir: &Path| {
            to.sync_all()?;
            new.publish(dir, &dir.join(path), &Condition::Always)
        };
        self.run("write", key.as_str(), publish).await
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
