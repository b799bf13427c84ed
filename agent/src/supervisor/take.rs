//! A private copy of the served file: frozen for a moment, copied at disk speed, and written anew without its free pages
//! where that pays. Replay waits only until the file is frozen.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ledger::snapshot::{Method, PIECE_BYTES};
use ledger::{Position, Seq};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::ldb::{self, Pages};
use crate::replay::{RequestError, Requests};
use crate::snapshot::{self, SnapshotError, behind_all_others};
use crate::supervisor::told::Metrics;

/// In the LDB's directory, for its disk has room for a generation anyway; for nobody else to see.
const FOLDER: &str = ".snapshot";
/// Replay waits for views of readers: those of our library end within 50 ms. Longer ones are waited for less and less often.
const BUDGETS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(250), Duration::from_millis(500)];
const BETWEEN: Duration = Duration::from_secs(1);
/// Left free on the disk for the WAL, which grows while the file is frozen.
const RESERVE: u64 = 64 << 20;

/// No copy was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error("the LDB cannot be frozen")]
    Request(#[from] RequestError),
    #[error("programs keep read transactions of the LDB open for longer than {}ms: find them, or try later", BUDGETS[2].as_millis())]
    Held,
    #[error("nothing was applied to the LDB yet")]
    Empty,
    #[error(
        "{path} has {available} bytes free and the copy for a snapshot needs {needed}: make space or use a larger disk",
        path = path.display()
    )]
    NoRoom { path: PathBuf, needed: u64, available: u64 },
    #[error("the disk of the LDB directory cannot be asked for its room")]
    Space(#[source] SnapshotError),
    #[error("cannot {verb} {path}", path = path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("the copy of the LDB cannot be written anew without its free pages")]
    Vacuum(#[source] ldb::Error),
    #[error("copying the LDB ended early")]
    Ended(#[from] JoinError),
}

impl TakeError {
    fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { verb, path, source }
    }
}

/// A folder of our own, with nothing in it at first and gone at the end. What a crash left goes when the next one is made.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn make(ldb_dir: &Path) -> Result<Self, TakeError> {
        let path = ldb_dir.join(FOLDER);
        remove(&path)?;
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(TakeError::file("make", &path))?;
        Ok(Self(path))
    }

    /// Removes what a crash left.
    pub(crate) fn clear(ldb_dir: &Path) -> Result<(), TakeError> {
        remove(&ldb_dir.join(FOLDER))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::debug!(%error, "the copy for a snapshot stays until the next one");
        }
    }
}

fn remove(path: &Path) -> Result<(), TakeError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TakeError::file("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Copies the served file into the folder. Dropping the future ends the copying soon.
pub(crate) async fn take(
    requests: &Requests,
    folder: &Folder,
    metrics: &Metrics,
) -> Result<snapshot::Frozen, TakeError> {
    let frozen = freeze(requests, metrics).await?;
    let path = folder.path().to_owned();
    let wanted = CancellationToken::new();
    let _guard = wanted.clone().drop_guard();
    // The transaction ends with `frozen`, where blocking is allowed, however this goes.
    spawn_blocking(move || {
        let position = frozen.position.ok_or(TakeError::Empty)?;
        let copied = copy(&frozen, &path, &wanted);
        drop(frozen);
        let copied = copied?;
        behind_all_others(|| compact(copied, position))
    })
    .await?
}

async fn freeze(requests: &Requests, metrics: &Metrics) -> Result<ldb::Frozen, TakeError> {
    for (index, budget) in BUDGETS.into_iter().enumerate() {
        if index > 0 {
            sleep(BETWEEN).await;
        }
        let start = Instant::now();
        let frozen = requests.freeze(budget).await?;
        metrics.froze(start);
        if let Some(frozen) = frozen {
            return Ok(frozen);
        }
    }
    Err(TakeError::Held)
}

fn copy(
    frozen: &ldb::Frozen,
    folder: &Path,
    wanted: &CancellationToken,
) -> Result<PathBuf, TakeError> {
    let path = folder.join("copy.db");
    need(folder, frozen.bytes)?;
    let go_on = |_| match wanted.is_cancelled() {
        true => Err(io::ErrorKind::Interrupted.into()),
        false => Ok(()),
    };
    frozen.copy_to(&path, go_on).map_err(TakeError::file("write", &path))?;
    Ok(path)
}

/// The copy as it is, or without its free pages.
fn compact(copy: PathBuf, position: Position) -> Result<snapshot::Frozen, TakeError> {
    let pages = Pages::of(&copy).map_err(TakeError::Vacuum)?;
    let method = method(pages);
    let seq: Seq = position.seq;
    match method {
        Method::Copy => Ok(snapshot::Frozen { path: copy, position, method }),
        Method::Vacuum => {
            let path = copy.with_file_name("vacuumed.db");
            need(path.parent().unwrap_or(&path), (pages.all - pages.free) * pages.bytes)?;
            tracing::debug!(%seq, pages = pages.all, free = pages.free, "many pages are free");
            ldb::vacuum(&copy, &path).map_err(TakeError::Vacuum)?;
            remove_file(&copy)?;
            Ok(snapshot::Frozen { path, position, method })
        }
    }
}

/// A copy shares most of its pieces with the snapshot before; a file that is written anew shares few, but a node need not
/// download its free pages. So these must be many: half of the file, and more than a few pieces.
fn method(Pages { bytes, all, free }: Pages) -> Method {
    if free * 2 >= all && free * bytes >= 4 * PIECE_BYTES { Method::Vacuum } else { Method::Copy }
}

/// Is there room for so many bytes more?
pub(crate) fn need(folder: &Path, bytes: u64) -> Result<(), TakeError> {
    let available = snapshot::space(folder).map_err(TakeError::Space)?;
    let needed = bytes.saturating_add(RESERVE);
    if available < needed {
        return Err(TakeError::NoRoom { path: folder.to_owned(), needed, available });
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), TakeError> {
    std::fs::remove_file(path).map_err(TakeError::file("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_anew_when_half_of_it_and_more_than_a_little_is_free() {
        let check = |all, free, want| {
            assert_eq!(method(Pages { bytes: 4096, all, free }), want, "{free} of {all}");
        };
        check(0, 0, Method::Copy);
        check(100_000, 0, Method::Copy);
        check(100_000, 49_999, Method::Copy);
        check(100_000, 50_000, Method::Vacuum);
        // A small file has few pieces, whatever is in it.
        check(20_000, 16_383, Method::Copy);
        check(20_000, 16_384, Method::Vacuum);
    }

    #[test]
    fn no_room_is_said_with_the_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let text = need(dir.path(), u64::MAX / 2).unwrap_err().to_string();
        assert!(text.contains("bytes free") && text.contains("make space"), "{text}");
    }

    #[test]
    fn a_folder_is_private_empty_and_gone_at_the_end() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(FOLDER);
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("copy.db"), "of a crash").unwrap();
        let folder = Folder::make(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(folder);
        assert!(!left.exists());
    }
}
