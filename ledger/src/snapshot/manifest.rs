//! The manifest: what a snapshot is a copy of, and of which parts it is made.

use serde::{Deserialize, Serialize};

use crate::snapshot::{FileDigest, Object, ObjectKey, PIECE_BYTES, Part, TableContent, pieces};
use crate::{Digest, FamilyName, History, LeaderTs, Position, Seq};

/// The newest format that this code knows, and the one that it writes.
pub const FORMAT: u32 = 1;
/// How the text of a manifest ends: with the BLAKE3 of all that comes before it. Manifests of before have none.
const SEAL: &str = ",\n  \"seal\": \"";
/// No manifest is larger; whoever reads one reads no further.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format that it is written in.
    pub format: u32,
    /// The least format that a reader must know to use it. Below [`Manifest::format`] when what was added since may be
    /// ignored.
    pub min_compatible: u32,
    /// The least version of the reader library that can read the file.
    pub least_reader: u64,
    /// Where the file stands in the ledger.
    #[serde(flatten)]
    pub position: Position,
    /// When it was taken: UTC, by the clock of whoever took it.
    #[serde(with = "time")]
    pub taken_at: LeaderTs,
    /// How the file was made.
    pub method: Method,
    /// The files: one for all families, for now.
    pub files: Vec<SnapshotFile>,
    /// The tables of all files, by name.
    pub tables: Vec<TableContent>,
    /// Who vouches for it; nobody, for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// How a snapshot's file was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Copied page by page: pieces that did not change stay the same.
    Copy,
    /// Written anew without free pages: smaller, but every piece is new.
    Vacuum,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All families.
    All,
    /// One family, for pods that may see only that.
    Family(FamilyName),
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// What it holds.
    pub scope: Scope,
    /// Its size.
    pub bytes: u64,
    /// Of its pieces.
    pub digest: FileDigest,
    /// It is cut every so many bytes.
    pub piece_bytes: u64,
    /// Its pieces in their order.
    pub parts: Vec<Part>,
}

/// A signature over the manifest without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Which key made it.
    pub key: String,
    /// The signature, base64.
    pub value: String,
}

/// A manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no JSON of ours.
    #[error("the snapshot's manifest is damaged")]
    Damaged {
        /// What JSON says.
        source: serde_json::Error,
    },
    /// It was changed.
    #[error("the snapshot's manifest is damaged: its seal is that of another text")]
    Unsealed,
    /// It is too large.
    #[error("the snapshot's manifest has more than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// Something newer wrote it.
    #[error(
        "the snapshot's manifest has the future format {format}, this version knows up to {FORMAT}: upgrade it"
    )]
    FutureFormat {
        /// The least format that one must know.
        format: u32,
    },
    /// It belongs to another ledger.
    #[error("the snapshot is of the foreign history {found}, not of {wanted}")]
    ForeignHistory {
        /// Its history.
        found: History,
        /// That of the folder.
        wanted: History,
    },
    /// Its name says another entry.
    #[error("the manifest is of entry {found}, its name says another: it was swapped")]
    Swapped {
        /// Its entry.
        found: Seq,
    },
    /// It contradicts itself.
    #[error("the snapshot's manifest contradicts itself: {what}")]
    Inconsistent {
        /// Where.
        what: &'static str,
    },
}

impl ManifestError {
    /// Did something newer than this code write it? Then it must not be replaced.
    #[must_use]
    pub fn is_future(&self) -> bool {
        matches!(self, ManifestError::FutureFormat { .. })
    }
}

impl Manifest {
    /// Reads a manifest of this history and checks that it makes sense.
    ///
    /// # Errors
    /// It is damaged, from the future, of another history, or contradicts itself.
    pub fn read(text: &[u8], history: History) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Versions {
            min_compatible: u32,
            seal: Option<String>,
        }
        if u64::try_from(text.len()).is_ok_and(|bytes| bytes > MAX_MANIFEST_BYTES) {
            return Err(ManifestError::TooLarge);
        }
        let damaged = |source| ManifestError::Damaged { source };
        // First, for a future format may have another shape altogether.
        let versions: Versions = serde_json::from_slice(text).map_err(damaged)?;
        if versions.min_compatible > FORMAT {
            return Err(ManifestError::FutureFormat { format: versions.min_compatible });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(damaged)?;
        if manifest.position.history != history {
            let found = manifest.position.history;
            return Err(ManifestError::ForeignHistory { found, wanted: history });
        }
        manifest.files.iter().try_for_each(SnapshotFile::check)?;
        if versions.seal.is_some_and(|seal| !is_sealed(text, &seal)) {
            return Err(ManifestError::Unsealed);
        }
        Ok(manifest)
    }

    /// Is this the manifest that its name says?
    ///
    /// # Errors
    /// It is of another entry.
    pub fn is_named(self, seq: Seq, digest: Digest) -> Result<Self, ManifestError> {
        if (self.position.seq, self.position.digest) == (seq, digest) {
            Ok(self)
        } else {
            Err(ManifestError::Swapped { found: self.position.seq })
        }
    }

    /// Its text, sealed: a digit that flips in the store is found, whatever it stands for.
    ///
    /// # Panics
    /// Never: all that it holds has a text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let text = serde_json::to_vec_pretty(self).expect("BUG: a manifest has text keys only");
        let body = text.strip_suffix(b"\n}").expect("BUG: a manifest is an object");
        let end = sealing(&blake3::hash(body).to_hex());
        [body, end.as_bytes()].concat()
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.object().key(self.position.history)
    }

    /// Its place in its history's folder.
    #[must_use]
    pub fn object(&self) -> Object {
        Object::Manifest(self.position.seq, self.position.digest)
    }

    /// The one file that holds everything.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn whole_file(&self) -> Result<&SnapshotFile, ManifestError> {
        match self.files.as_slice() {
            [file] if file.scope == Scope::All => Ok(file),
            _ => Err(ManifestError::Inconsistent { what: "no single file holds all families" }),
        }
    }

    /// All parts of all files.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.files.iter().flat_map(|file| &file.parts)
    }
}

impl SnapshotFile {
    /// A file of these parts.
    #[must_use]
    pub fn new(scope: Scope, piece_bytes: u64, parts: Vec<Part>) -> Self {
        let bytes = parts.iter().map(|part| part.bytes).sum();
        Self { scope, bytes, digest: FileDigest::of(&parts), piece_bytes, parts }
    }

    fn check(&self) -> Result<(), ManifestError> {
        let bad = |what| Err(ManifestError::Inconsistent { what });
        if !(1..=PIECE_BYTES).contains(&self.piece_bytes) {
            return bad("the size of its pieces is not possible");
        }
        if self.bytes.div_ceil(self.piece_bytes) != count(&self.parts) {
            return bad("the number of its parts is not that of its size");
        }
        let sizes = pieces(self.bytes, self.piece_bytes).map(|(_, bytes)| bytes);
        if !sizes.eq(self.parts.iter().map(|part| part.bytes)) {
            return bad("a part has another size than its piece");
        }
        // Compression never adds more than this; a reader takes no more than a part's size into memory.
        if self.parts.iter().any(|part| part.stored_bytes > part.bytes + part.bytes / 128 + 1024) {
            return bad("a part is larger in the store than it can be");
        }
        if FileDigest::of(&self.parts) != self.digest {
            return bad("the digest of the file is not that of its parts");
        }
        Ok(())
    }
}

fn sealing(seal: &str) -> String {
    format!("{SEAL}{seal}\"\n}}")
}

fn is_sealed(text: &[u8], seal: &str) -> bool {
    let body = text.strip_suffix(sealing(seal).as_bytes());
    body.is_some_and(|body| blake3::hash(body).to_hex().as_str() == seal)
}

fn count(parts: &[Part]) -> u64 {
    u64::try_from(parts.len()).expect("BUG: a length fits 64 bits")
}

/// Times as people read them.
mod time {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::LeaderTs;

    pub(super) fn serialize<S: Serializer>(time: &LeaderTs, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LeaderTs, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
