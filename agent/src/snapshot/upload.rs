//! Takes a file at rest to the store: parts, then the manifest, then the pointer. Whatever happens in between, and whoever
//! else does the same, the pointer names a snapshot that is there as a whole.
//!
//! The pointer is read before it is decided which parts are there already, and moves only if it is still the same: a
//! collector that removed one of them did so after the pointer had moved on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use futures::future::try_join;
use ledger::Position;
use ledger::snapshot::{
    FORMAT, GRACE, Manifest, Method, Object, Part, PartDigest, Refused, Scope, SnapshotFile, fresh,
    may_move,
};
use tokio::time::Instant;

use crate::ldb::contents::{self, Contents};
use crate::snapshot::piece::{Cut, Packer, Piece, blocking, cut};
use crate::snapshot::{Catalog, Pointer, Rate, SnapshotError};
use store::{CatalogError, Condition, now};

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
        let mut run = Run { catalog, rate: self.rate, parts_uploaded: 0, bytes_uploaded: 0 };
        let mut prepared = None;
        for attempt in 0..TRIES {
            let pointer = match catalog.pointer().await? {
                // A newer version of this program knows better.
                Pointer::Damaged(source, _) if source.is_future() => {
                    return Err(SnapshotError::Pointer { source });
                }
                pointer => pointer,
            };
            if let Some(refused) = run.refuses(&pointer, frozen.position).await? {
                return run.done(Outcome::Superseded(refused), &prepared);
            }
            if prepared.is_none() {
                prepared = Some(self.prepare(frozen).await?);
            }
            let Some((contents, cut)) = &prepared else { continue };
            // What the pointer's manifest names need not be there any more when somebody has moved it since.
            let parts = run.parts(cut, &pointer, attempt > 0).await?;
            let manifest = self.manifest(frozen, contents, parts);
            if Instant::now() > deadline {
                return Err(SnapshotError::Contended);
            }
            let manifest = run.put_manifest(manifest).await?;
            if run.move_pointer(&pointer, &manifest).await? {
                run.read_back(&manifest).await?;
                return run.done(Outcome::Newest(Box::new(manifest)), &prepared);
            }
        }
        Err(SnapshotError::Contended)
    }

    async fn prepare(&self, frozen: &Frozen) -> Result<(Contents, Cut), SnapshotError> {
        let (path, piece_bytes, wanted) = (frozen.path.clone(), self.piece_bytes, frozen.position);
        blocking(move || {
            let contents = contents::read(&path)?;
            if contents.position != Some(wanted) {
                let what = format!("it does not stand at entry {}", wanted.seq);
                return Err(SnapshotError::Differs { what });
            }
            Ok((contents, cut(&path, piece_bytes)?))
        })
        .await
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

/// One upload.
struct Run<'a> {
    catalog: &'a Catalog,
    rate: Rate,
    parts_uploaded: usize,
    bytes_uploaded: u64,
}

impl Run<'_> {
    fn done(
        &self,
        outcome: Outcome,
        prepared: &Option<(Contents, Cut)>,
    ) -> Result<Published, SnapshotError> {
        if let Outcome::Superseded(
            source @ (Refused::Forked { .. } | Refused::ForeignHistory { .. }),
        ) = outcome
        {
            return Err(SnapshotError::NotPublished { source });
        }
        let parts = prepared.as_ref().map_or(0, |(_, cut)| cut.pieces.len());
        let Self { parts_uploaded, bytes_uploaded, .. } = *self;
        Ok(Published { outcome, parts, parts_uploaded, bytes_uploaded })
    }

    /// Must the pointer stay where it is?
    async fn refuses(
        &self,
        pointer: &Pointer,
        next: Position,
    ) -> Result<Option<Refused>, SnapshotError> {
        let current = match pointer {
            Pointer::Absent => None,
            Pointer::At(manifest, _) => Some(manifest.position),
            // What it said is lost; it was one of the manifests.
            Pointer::Damaged(..) => self.newest_sound().await?,
        };
        Ok(may_move(current, next).err())
    }

    async fn newest_sound(&self) -> Result<Option<Position>, SnapshotError> {
        for stored in self.catalog.manifests().await? {
            match self.catalog.manifest(stored.seq, stored.digest).await {
                Ok(manifest) => return Ok(Some(manifest.position)),
                Err(error) if error.is_bad_copy() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Uploads what is not there.
    async fn parts(
        &mut self,
        cut: &Cut,
        pointer: &Pointer,
        listed_only: bool,
    ) -> Result<Vec<Part>, SnapshotError> {
        let mut there: BTreeMap<PartDigest, u64> = BTreeMap::new();
        if let Pointer::At(manifest, _) = pointer
            && !listed_only
        {
            there.extend(manifest.parts().map(|part| (part.digest, part.stored_bytes)));
        }
        if !cut.pieces.iter().all(|piece| there.contains_key(&piece.digest)) {
            let listed = self.catalog.parts().await?.into_iter();
            let fresh = listed.filter(|(part, _)| fresh(part, now()));
            there.extend(fresh.map(|(part, bytes)| (part.digest, bytes)));
        }
        self.upload(cut, &mut there).await?;
        let part = |piece: &Piece| {
            let stored_bytes = there.get(&piece.digest).copied().unwrap_or(piece.bytes);
            Part { digest: piece.digest, bytes: piece.bytes, stored_bytes }
        };
        Ok(cut.pieces.iter().map(part).collect())
    }

    /// One after the other; the next is compressed meanwhile, so that two are in memory.
    async fn upload(
        &mut self,
        cut: &Cut,
        there: &mut BTreeMap<PartDigest, u64>,
    ) -> Result<(), SnapshotError> {
        let mut known: BTreeSet<PartDigest> = there.keys().copied().collect();
        let missing: Vec<Piece> =
            cut.pieces.iter().filter(|piece| known.insert(piece.digest)).copied().collect();
        let mut packer = Packer::new(&cut.path);
        let mut packed = None;
        for (index, piece) in missing.iter().enumerate() {
            let start = Instant::now();
            let body = match packed.take() {
                Some(body) => body,
                None => packer.pack(*piece).await?,
            };
            let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
            let key = Object::Part(piece.digest).key(self.catalog.history);
            let put = self.catalog.store.put(&key, body, Condition::Always);
            let next = async {
                match missing.get(index + 1) {
                    Some(next) => packer.pack(*next).await.map(Some),
                    None => Ok(None),
                }
            };
            let put = async { put.await.map_err(SnapshotError::from) };
            ((), packed) = try_join(put, next).await?;
            self.parts_uploaded += 1;
            self.bytes_uploaded += bytes;
            there.insert(piece.digest, bytes);
            self.rate.pace(start, bytes).await;
        }
        Ok(())
    }

    /// Writes the manifest. If there is one of this position already, that one counts: it never changes.
    async fn put_manifest(&self, manifest: Manifest) -> Result<Manifest, SnapshotError> {
        let (key, store) = (manifest.key(), &self.catalog.store);
        match store.put(&key, manifest.to_json(), Condition::Absent).await {
            Ok(()) => return Ok(manifest),
            Err(error) if error.is_changed() => {}
            Err(error) => return Err(error.into()),
        }
        let Position { seq, digest, .. } = manifest.position;
        match self.catalog.manifest(seq, digest).await {
            // Another uploader's, or ours of a moment ago whose answer was lost.
            Ok(other) if self.is_whole(&other, &manifest).await? => Ok(other),
            Ok(_) => self.replace_manifest(manifest).await,
            Err(CatalogError::Manifest { source, .. }) if source.is_future() => {
                Err(SnapshotError::Manifest { seq, source })
            }
            Err(error) if error.is_bad_copy() => self.replace_manifest(manifest).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Is all there that the other names? Then it is as good as ours.
    async fn is_whole(&self, other: &Manifest, own: &Manifest) -> Result<bool, SnapshotError> {
        if other.position != own.position || other.whole_file().is_err() {
            return Ok(false);
        }
        if same_parts(other, own) {
            return Ok(true);
        }
        let there: BTreeSet<_> =
            self.catalog.parts().await?.into_iter().map(|(part, _)| part.digest).collect();
        Ok(other.parts().all(|part| there.contains(&part.digest)))
    }

    /// Over one that is damaged, or whose parts are gone: nothing can rely on it.
    async fn replace_manifest(&self, manifest: Manifest) -> Result<Manifest, SnapshotError> {
        self.catalog.store.put(&manifest.key(), manifest.to_json(), Condition::Always).await?;
        Ok(manifest)
    }

    /// False: somebody else moved it in between.
    async fn move_pointer(&self, from: &Pointer, to: &Manifest) -> Result<bool, SnapshotError> {
        let when = match from {
            Pointer::Absent => Condition::Absent,
            Pointer::At(_, tag) | Pointer::Damaged(_, tag) => Condition::Is(tag.clone()),
        };
        let key = Object::Pointer.key(self.catalog.history);
        match self.catalog.store.put(&key, to.to_json(), when).await {
            Ok(()) => Ok(true),
            // Maybe it was us, and the answer was lost.
            Err(error) if error.is_changed() => Ok(match self.catalog.pointer().await? {
                Pointer::At(manifest, _) => *manifest == *to,
                Pointer::Absent | Pointer::Damaged(..) => false,
            }),
            Err(error) => Err(error.into()),
        }
    }

    async fn read_back(&self, own: &Manifest) -> Result<(), SnapshotError> {
        let Position { seq, digest, .. } = own.position;
        let stored = self.catalog.manifest(seq, digest).await?;
        let newest = match self.catalog.pointer().await? {
            Pointer::At(manifest, _) => manifest.position.seq >= seq,
            Pointer::Absent | Pointer::Damaged(..) => false,
        };
        if newest && same_parts(&stored, own) {
            Ok(())
        } else {
            Err(SnapshotError::NotVerified { seq })
        }
    }
}

fn same_parts(one: &Manifest, other: &Manifest) -> bool {
    one.parts().map(|part| part.digest).eq(other.parts().map(|part| part.digest))
}
