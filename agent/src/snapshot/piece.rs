//! One piece of a file: read, digest, compress, and the way back. At most one piece and its compressed form are in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ledger::snapshot::{Part, PartDigest, pieces};

use crate::snapshot::SnapshotError;

/// The cheapest level: twice the bytes of the best one at a tenth of its time.
const LEVEL: i32 = 1;

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
    match tokio::task::spawn_blocking(work).await {
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
    let (mut cut, mut buffer) = (Vec::new(), Vec::new());
    for (offset, bytes) in pieces(bytes, piece_bytes) {
        read_at(&file, offset, bytes, &mut buffer).map_err(failed())?;
        cut.push(Piece { offset, bytes, digest: PartDigest::of(&buffer) });
    }
    Ok(Cut { path: path.to_owned(), pieces: cut })
}

/// Reads and compresses a piece, which must still be what it was when the file was cut.
pub(crate) fn compress(path: &Path, piece: Piece) -> Result<Vec<u8>, SnapshotError> {
    let failed = || SnapshotError::file("read", path);
    let file = File::open(path).map_err(failed())?;
    let mut buffer = Vec::new();
    read_at(&file, piece.offset, piece.bytes, &mut buffer).map_err(failed())?;
    if PartDigest::of(&buffer) != piece.digest {
        return Err(SnapshotError::Restless { path: path.to_owned() });
    }
    zstd::bulk::compress(&buffer, LEVEL).map_err(SnapshotError::file("compress", path))
}

/// The piece that a part holds; none when it is not the one that it should be.
pub(crate) fn decompress(stored: &[u8], part: &Part) -> Option<Vec<u8>> {
    // It never grows beyond what the manifest says.
    let piece = zstd::bulk::decompress(stored, usize::try_from(part.bytes).ok()?).ok()?;
    (PartDigest::of(&piece) == part.digest).then_some(piece)
}

pub(crate) fn read_at(file: &File, offset: u64, bytes: u64, into: &mut Vec<u8>) -> io::Result<()> {
    into.resize(usize::try_from(bytes).map_err(io::Error::other)?, 0);
    file.read_exact_at(into, offset)
}
