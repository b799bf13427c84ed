//! Manifest and pointer of a snapshot whose parts are there: written, moved on condition, and read back.

use std::collections::BTreeSet;

use ledger::Position;
use ledger::snapshot::{Manifest, Object, Refused, may_move};
use store::{CatalogError, Condition};

use crate::snapshot::{Catalog, Pointer, SnapshotError};

/// The last steps of an upload.
pub(super) struct Publish<'a> {
    pub(super) catalog: &'a Catalog,
}

impl Publish<'_> {
    /// Must the pointer stay where it is?
    pub(super) async fn refuses(
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

    /// Writes the manifest. If there is one of this position already, that one counts: it never changes.
    pub(super) async fn put_manifest(&self, manifest: Manifest) -> Result<Manifest, SnapshotError> {
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
    pub(super) async fn move_pointer(
        &self,
        from: &Pointer,
        to: &Manifest,
    ) -> Result<bool, SnapshotError> {
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

    pub(super) async fn read_back(&self, own: &Manifest) -> Result<(), SnapshotError> {
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
