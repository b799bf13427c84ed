//! The parts of a snapshot: which of them the store has, and the upload of the others.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join;
use ledger::snapshot::{Object, Part, PartDigest, StoredPart, fresh};
use store::{Condition, now};
use tokio::time::Instant;

use crate::snapshot::piece::{Cut, Packer, Piece};
use crate::snapshot::upload::{Outcome, Published};
use crate::snapshot::{Catalog, Pointer, Rate, SnapshotError};

/// The upload of parts, and what it sent so far.
pub(super) struct Parts<'a> {
    catalog: &'a Catalog,
    rate: Rate,
    uploaded: usize,
    bytes: u64,
}

impl<'a> Parts<'a> {
    pub(super) fn new(catalog: &'a Catalog, rate: Rate) -> Self {
        Self { catalog, rate, uploaded: 0, bytes: 0 }
    }

    /// What became of it, if the file was cut like this.
    pub(super) fn published(&self, outcome: Outcome, cut: Option<&Cut>) -> Published {
        Published {
            outcome,
            parts: cut.map_or(0, |cut| cut.pieces.len()),
            parts_uploaded: self.uploaded,
            bytes_uploaded: self.bytes,
        }
    }

    /// Uploads what is not there.
    pub(super) async fn upload(
        &mut self,
        cut: &Cut,
        pointer: &Pointer,
    ) -> Result<Vec<Part>, SnapshotError> {
        let mut there = self.lasting(pointer).await?;
        self.upload_missing(cut, &mut there).await?;
        let part = |piece: &Piece| {
            let stored_bytes = there.get(&piece.digest).copied().unwrap_or(piece.bytes);
            Part { digest: piece.digest, bytes: piece.bytes, stored_bytes }
        };
        Ok(cut.pieces.iter().map(part).collect())
    }

    /// The parts that are there, and will be for longer than an upload takes: those of the newest snapshot, and young ones.
    /// Each time they are looked for: one that somebody removed is uploaded again, and does not spoil all snapshots after.
    async fn lasting(&self, pointer: &Pointer) -> Result<BTreeMap<PartDigest, u64>, SnapshotError> {
        let named: BTreeSet<PartDigest> = match pointer {
            Pointer::At(manifest, _) => manifest.parts().map(|part| part.digest).collect(),
            Pointer::Absent | Pointer::Damaged(..) => BTreeSet::new(),
        };
        let listed = self.catalog.parts().await?;
        // If our clock is behind the store's, old parts must not look young.
        let newest = listed.iter().map(|(part, _)| part.modified).max();
        let now = newest.map_or(now(), |newest| newest.max(now()));
        let lasts =
            |(part, _): &(StoredPart, u64)| named.contains(&part.digest) || fresh(part, now);
        Ok(listed.into_iter().filter(lasts).map(|(part, bytes)| (part.digest, bytes)).collect())
    }

    /// One after the other; the next is compressed meanwhile, so that two are in memory.
    async fn upload_missing(
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
            self.uploaded += 1;
            self.bytes += bytes;
            there.insert(piece.digest, bytes);
            self.rate.pace(start, bytes).await;
        }
        Ok(())
    }
}
