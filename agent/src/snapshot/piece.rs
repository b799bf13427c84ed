//! One piece of a file: read, digest, compress, and the way back. On the way out a piece is never in memory as a whole,
//! only its compressed form is.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ledger::snapshot::{PartDigest, pieces};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::snapshot::{SnapshotError, behind_all_others};

/// The cheapest level: twice the bytes of the best one at a tenth of its time.
const LEVEL: i32 = 1;
/// Read at once.
const CHUNK: u64 = 256 << 10;

/// A file at rest, cut.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) path: PathBuf,
    pub(crate) pieces: Vec<Piece>,
}

/// Where a piece lies, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) digest: PartDigest,
}

/// Runs where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
) -> Result<T, SnapshotError> {
    joined(tokio::task::spawn_blocking(work)).await
}

async fn joined<T>(
    work: impl Future<Output = Result<Result<T, SnapshotError>, JoinError>>,
) -> Result<T, SnapshotError> {
    match work.await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => {
            Err(SnapshotError::file("work on", Path::new("a snapshot"))(io::Error::other(error)))
        }
    }
}

/// Cuts a file and takes the digest of each piece.
pub(crate) fn cut(path: &Path, piece_bytes: u64) -> Result<Cut, SnapshotError> {
    let failed = || SnapshotError::file("read", path);
    let file = File::open(path).map_err(failed())?;
    let bytes = file.metadata().map_err(failed())?.len();
    let mut cut = Vec::new();
    for (offset, bytes) in pieces(bytes, piece_bytes) {
        let digest = read(&file, (offset, bytes), |_| Ok(())).map_err(failed())?;
        cut.push(Piece { offset, bytes, digest });
    }
    Ok(Cut { path: path.to_owned(), pieces: cut })
}

/// Compresses pieces of a file, one at a time on one thread: more would take more cores, and memory for each that the
/// allocator does not give back.
pub(crate) struct Packer {
    asked: mpsc::Sender<(Piece, oneshot::Sender<Vec<u8>>)>,
    thread: JoinHandle<Result<(), SnapshotError>>,
}

impl Packer {
    pub(crate) fn new(path: &Path) -> Self {
        let (asked, mut ask) = mpsc::channel::<(Piece, oneshot::Sender<Vec<u8>>)>(1);
        let path = path.to_owned();
        let work = move || {
            let file = File::open(&path).map_err(SnapshotError::file("read", &path))?;
            while let Some((piece, answer)) = ask.blocking_recv() {
                // Nobody waits any more when the upload was given up.
                drop(answer.send(compress(&path, &file, piece)?));
            }
            Ok(())
        };
        let thread = tokio::task::spawn_blocking(|| behind_all_others(work));
        Self { asked, thread }
    }

    /// Reads and compresses a piece, which must still be what it was when the file was cut.
    pub(crate) async fn pack(&mut self, piece: Piece) -> Result<Vec<u8>, SnapshotError> {
        let (answer, answered) = oneshot::channel();
        // If it is not there any more, it says below why.
        drop(self.asked.send((piece, answer)).await);
        if let Ok(packed) = answered.await {
            return Ok(packed);
        }
        let gone = || io::Error::other("the thread that compresses has ended");
        joined(&mut self.thread).await?;
        Err(SnapshotError::file("compress", Path::new("a piece"))(gone()))
    }
}

fn compress(path: &Path, file: &File, piece: Piece) -> Result<Vec<u8>, SnapshotError> {
    let failed = || SnapshotError::file("compress", path);
    // No piece gets larger, so this never moves.
    let most = usize::try_from(piece.bytes + piece.bytes / 128 + 1024).map_err(io::Error::other);
    let packed = Vec::with_capacity(most.map_err(failed())?);
    let mut encoder = zstd::stream::Encoder::new(packed, LEVEL).map_err(failed())?;
    encoder.set_pledged_src_size(Some(piece.bytes)).map_err(failed())?;
    let place = (piece.offset, piece.bytes);
    let digest = read(file, place, |chunk| encoder.write_all(chunk)).map_err(failed())?;
    if digest != piece.digest {
        return Err(SnapshotError::Restless { path: path.to_owned() });
    }
    encoder.finish().map_err(failed())
}

/// Reads a piece bit by bit; its digest.
fn read(
    file: &File,
    (offset, bytes): (u64, u64),
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<PartDigest> {
    let (mut hasher, mut chunk) = (blake3::Hasher::new(), Vec::new());
    for (at, bytes) in pieces(bytes, CHUNK) {
        read_at(file, offset + at, bytes, &mut chunk)?;
        hasher.update(&chunk);
        each(&chunk)?;
    }
    Ok(PartDigest::from_bytes(*hasher.finalize().as_bytes()))
}

pub(crate) fn read_at(file: &File, offset: u64, bytes: u64, into: &mut Vec<u8>) -> io::Result<()> {
    into.resize(usize::try_from(bytes).map_err(io::Error::other)?, 0);
    file.read_exact_at(into, offset)
}
