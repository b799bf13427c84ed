//! Pieces of a file: where it is cut, and what a piece is known by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::HexError;

/// A file is cut every so many bytes; the last piece may be shorter. A reader never needs more memory for a piece.
pub const PIECE_BYTES: u64 = 16 << 20;

hash!(
    /// The BLAKE3 of a piece before compression: the part's name, so that an unchanged piece is stored once.
    PartDigest
);
hash!(
    /// The BLAKE3 of the digests of all pieces in their order: it stands for the file, and says which piece goes where.
    FileDigest
);

impl PartDigest {
    /// Of a piece.
    #[must_use]
    pub fn of(piece: &[u8]) -> Self {
        Self(*blake3::hash(piece).as_bytes())
    }
}

impl FileDigest {
    /// Of a file of these pieces.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part.digest.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// A piece of a file, as a manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Of the piece as it lies in the file.
    pub digest: PartDigest,
    /// How many bytes it has there.
    pub bytes: u64,
    /// How many bytes it had in the store when this manifest's writer looked, for progress; another writer's compressor may
    /// have made it a little larger or smaller.
    pub stored_bytes: u64,
}

/// Where a file of this size is cut: offset and size of each piece.
pub fn pieces(file_bytes: u64, piece_bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    let step = piece_bytes.max(1);
    (0..file_bytes.div_ceil(step)).map(move |index| {
        let offset = index * step;
        (offset, step.min(file_bytes - offset))
    })
}
