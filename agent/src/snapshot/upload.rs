//! Takes a file at rest to the store: parts, then the manifest, then the pointer. Whatever happens in between, and whoever
//! else does the same, the pointer names a snapshot that is there as a whole.
//!
//! The pointer is read before it is decided which parts are there already, and moves only if it is still the same: a
//! collector that removed one of them did so after the pointer had moved on. The steps are in `parts` and `publish`.

mod parts;
mod publish;

use std::path::PathBuf;
use std::time::Duration;

use ledger::Position;
use ledger::snapshot::{FORMAT, GRACE, Manifest, Method, Part, Refused, Scope, SnapshotFile};
use store::now;
use tokio::time::Instant;

use crate::ldb::contents::{self, Contents};
use crate::snapshot::piece::{Cut, blocking, cut};
use crate::snapshot::upload::parts::Parts;
use crate::snapshot::upload::publish::Publish;
use crate::snapshot::{Catalog, Pointer, Rate, SnapshotError, behind_all_others};

/// How often the pointer may move under our hands.
const TRIES: usize = 5;
/// A part that an upload relies on stays for at least this long.
const LONGEST: Duration = Duration::from_secs(GRACE.as_secs() / 2);

/// A file that nobody writes, and what it is said to be.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The file, all of it: no WAL beside it.
    pub path: PathBuf,
    /// Where it stands.
    pub position: Position,
    /// How it was made.
    pub method: Method,
}

/// How to upload.
#[derive(Debug, Clone, Copy)]
pub struct Upload {
    /// [`PIECE_BYTES`](ledger::snapshot::PIECE_BYTES), but for tests.
    pub piece_bytes: u64,
    /// How fast.
    pub rate: Rate,
}

/// What became of an upload.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Is it the newest now?
    pub outcome: Outcome,
    /// How many parts it has.
    pub parts: usize,
    /// How many of them had to be uploaded.
    pub parts_uploaded: usize,
    /// How many bytes that were.
    pub bytes_uploaded: u64,
}

/// What became of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The pointer names it.
    Newest(Box<Manifest>),
    /// The pointer names one that is as new or newer.
    Superseded(Refused),
}

impl Upload {
    /// Publishes a snapshot of this file.
    ///
    /// # Errors
    /// The file is not what it is said to be, the store fails, or the pointer must not move.
    pub async fn publish(
        &self,
        catalog: &Catalog,
        frozen: &Frozen,
    ) -> Result<Published, SnapshotError> {
        let deadline = Instant::now() + LONGEST;
        let publish = Publish { catalog };
        let mut parts = Parts::new(catalog, self.rate);
        let mut prepared = None;
        for _ in 0..TRIES {
            let pointer = match catalog.pointer().await? {
                // A newer version of this program knows better.
                Pointer::Damaged(source, _) if source.is_future() => {
                    return Err(SnapshotError::Pointer { source });
                }
                pointer => pointer,
            };
            if let Some(refused) = publish.refuses(&pointer, frozen.position).await? {
                let cut = prepared.as_ref().map(|(_, cut)| cut);
                return Ok(parts.published(superseded(refused)?, cut));
            }
            if prepared.is_none() {
                prepared = Some(self.prepare(frozen).await?);
            }
            let Some((contents, cut)) = &prepared else { continue };
            let manifest = self.manifest(frozen, contents, parts.upload(cut, &pointer).await?);
            if Instant::now() > deadline {
                return Err(SnapshotError::Contended);
            }
            let manifest = publish.put_manifest(manifest).await?;
            if publish.move_pointer(&pointer, &manifest).await? {
                publish.read_back(&manifest).await?;
                return Ok(parts.published(Outcome::Newest(Box::new(manifest)), Some(cut)));
            }
        }
        Err(SnapshotError::Contended)
    }

    async fn prepare(&self, frozen: &Frozen) -> Result<(Contents, Cut), SnapshotError> {
        let (path, piece_bytes, wanted) = (frozen.path.clone(), self.piece_bytes, frozen.position);
        let look = move || {
            let contents = contents::read(&path)?;
            if contents.position != Some(wanted) {
                let what = format!("it does not stand at entry {}", wanted.seq);
                return Err(SnapshotError::Differs { what });
            }
            Ok((contents, cut(&path, piece_bytes)?))
        };
        blocking(|| behind_all_others(look)).await
    }

    fn manifest(&self, frozen: &Frozen, contents: &Contents, parts: Vec<Part>) -> Manifest {
        Manifest {
            format: FORMAT,
            min_compatible: FORMAT,
            least_reader: reader::layout::READER_VERSION,
            position: frozen.position,
            taken_at: now(),
            method: frozen.method,
            files: vec![SnapshotFile::new(Scope::All, self.piece_bytes, parts)],
            tables: contents.tables.clone(),
            signature: None,
        }
    }
}

/// Another snapshot that is as new or newer is as good as ours, unless it is of another ledger.
fn superseded(refused: Refused) -> Result<Outcome, SnapshotError> {
    match refused {
        Refused::Same { .. } | Refused::Behind { .. } => Ok(Outcome::Superseded(refused)),
        Refused::Forked { .. } | Refused::ForeignHistory { .. } => {
            Err(SnapshotError::NotPublished { source: refused })
        }
    }
}
