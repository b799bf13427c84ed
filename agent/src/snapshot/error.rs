//! Why a snapshot was not taken or not got.

use std::io;
use std::path::{Path, PathBuf};

use ledger::Seq;
use ledger::snapshot::{ManifestError, PartDigest, Refused};

use crate::ldb::contents::ContentsError;
use store::{CatalogError, StoreError};

/// Why a snapshot was not taken or not got.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The store did not do it.
    #[error("the snapshot store failed")]
    Store {
        /// What it said.
        #[from]
        source: StoreError,
    },
    /// A manifest cannot be used.
    #[error("the manifest of snapshot {seq} cannot be used")]
    Manifest {
        /// Whose.
        seq: Seq,
        /// Why.
        source: ManifestError,
    },
    /// The pointer cannot be used, and must not be replaced.
    #[error("the pointer to the newest snapshot cannot be used")]
    Pointer {
        /// Why.
        source: ManifestError,
    },
    /// The pointer must not move.
    #[error("the snapshot is not published")]
    NotPublished {
        /// Why.
        source: Refused,
    },
    /// What was written reads back as something else.
    #[error("snapshot {seq} was published, but reads back as something else")]
    NotVerified {
        /// Whose.
        seq: Seq,
    },
    /// Others were faster again and again.
    #[error("the pointer moved each time that we wanted to move it, try again later")]
    Contended,
    /// A part is gone.
    #[error("part {part} of snapshot {seq} is not in the store")]
    PartMissing {
        /// Of which snapshot.
        seq: Seq,
        /// Which one.
        part: PartDigest,
    },
    /// A part is not what its name says.
    #[error("part {part} of snapshot {seq} is damaged: its digest is another")]
    PartDamaged {
        /// Of which snapshot.
        seq: Seq,
        /// Which one.
        part: PartDigest,
    },
    /// The file is no LDB.
    #[error("the file of the snapshot is not sound")]
    Contents {
        /// Why.
        #[from]
        source: ContentsError,
    },
    /// The file is not what was promised.
    #[error("the file of the snapshot is not what it should be: {what}")]
    Differs {
        /// In what.
        what: String,
    },
    /// Somebody writes the file that was said to be at rest.
    #[error("{path} changed while the snapshot was taken", path = path.display())]
    Restless {
        /// The file.
        path: PathBuf,
    },
    /// Not enough room.
    #[error(
        "{path} has {available} bytes free, the snapshot needs {needed}: make room or use a larger disk",
        path = path.display()
    )]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// How many bytes it takes.
        needed: u64,
        /// How many there are.
        available: u64,
    },
    /// None of the snapshots can be used.
    #[error("none of the {tried} snapshots can be used, the newest one: {why}")]
    NoneUsable {
        /// How many were tried.
        tried: usize,
        /// What is the matter with the newest, with its causes.
        why: String,
    },
    /// There is none.
    #[error("there is no snapshot in the store")]
    None,
    /// A file could not be read or written.
    #[error("cannot {verb} {path}", path = path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<CatalogError> for SnapshotError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Store { source } => Self::Store { source },
            CatalogError::Manifest { seq, source } => Self::Manifest { seq, source },
        }
    }
}

impl SnapshotError {
    pub(crate) fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { verb, path, source }
    }

    /// Is no snapshot there that can be used, as far as the store says?
    #[must_use]
    pub fn is_none_usable(&self) -> bool {
        matches!(self, Self::NoneUsable { .. } | Self::None)
    }

    /// Is it this snapshot that is bad, so that an older one may be good?
    #[must_use]
    pub fn is_bad_copy(&self) -> bool {
        match self {
            Self::Manifest { .. }
            | Self::PartMissing { .. }
            | Self::PartDamaged { .. }
            | Self::Contents { .. }
            | Self::Differs { .. } => true,
            Self::Store { source } => source.is_not_found(),
            Self::Pointer { .. }
            | Self::NotPublished { .. }
            | Self::NotVerified { .. }
            | Self::Contended
            | Self::Restless { .. }
            | Self::NoSpace { .. }
            | Self::NoneUsable { .. }
            | Self::None
            | Self::File { .. } => false,
        }
    }
}
