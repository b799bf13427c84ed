//! What a store has of one history: the pointer, the manifests, the parts. Reads only.

use std::sync::Arc;

use ledger::snapshot::{
    MAX_MANIFEST_BYTES, Manifest, ManifestError, Object, StoredManifest, StoredPart, root,
};
use ledger::{Digest, History, Seq};

use crate::{Listed, Store, StoreError, Tag};

/// The snapshots of one history in one store.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Whose snapshots.
    pub history: History,
}

/// What the pointer says now.
#[derive(Debug)]
pub enum Pointer {
    /// There is none yet.
    Absent,
    /// It is a copy of this manifest.
    At(Box<Manifest>, Tag),
    /// It is no manifest.
    Damaged(ManifestError, Tag),
}

/// A manifest was not read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The store did not do it.
    #[error("the snapshot store failed")]
    Store {
        /// What it said.
        #[from]
        source: StoreError,
    },
    /// It cannot be used.
    #[error("the manifest of snapshot {seq} cannot be used")]
    Manifest {
        /// Whose.
        seq: Seq,
        /// Why.
        source: ManifestError,
    },
}

impl CatalogError {
    /// Is it this snapshot that is bad, so that an older one may be good?
    #[must_use]
    pub fn is_bad_copy(&self) -> bool {
        match self {
            Self::Manifest { .. } => true,
            Self::Store { source } => source.is_not_found(),
        }
    }
}

impl Catalog {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, history: History) -> Self {
        Self { store, history }
    }

    /// Reads the pointer.
    ///
    /// # Errors
    /// The store fails. A pointer that is damaged is an answer.
    pub async fn pointer(&self) -> Result<Pointer, StoreError> {
        let key = Object::Pointer.key(self.history);
        match self.store.get(&key, MAX_MANIFEST_BYTES).await {
            Ok(found) => Ok(match Manifest::read(&found.bytes, self.history) {
                Ok(manifest) => Pointer::At(Box::new(manifest), found.tag),
                Err(error) => Pointer::Damaged(error, found.tag),
            }),
            Err(error) if error.is_not_found() => Ok(Pointer::Absent),
            Err(error) => Err(error),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// The store fails, or it is not the manifest that its name says.
    pub async fn manifest(&self, seq: Seq, digest: Digest) -> Result<Manifest, CatalogError> {
        let key = Object::Manifest(seq, digest).key(self.history);
        let found = self.store.get(&key, MAX_MANIFEST_BYTES).await?;
        Manifest::read(&found.bytes, self.history)
            .and_then(|manifest| manifest.is_named(seq, digest))
            .map_err(|source| CatalogError::Manifest { seq, source })
    }

    /// The manifests, newest first.
    ///
    /// # Errors
    /// The store fails.
    pub async fn manifests(&self) -> Result<Vec<StoredManifest>, StoreError> {
        let (mut found, history) = (Vec::new(), self.history);
        let mut each = |listed: Listed| {
            if let Some(Object::Manifest(seq, digest)) = Object::parse(history, &listed.key) {
                found.push(StoredManifest { seq, digest, modified: listed.modified });
            }
        };
        // Parts lie in a folder of their own, manifests begin with a digit.
        for digit in 0..10 {
            self.store.list(&format!("{}{digit}", root(history)), &mut each).await?;
        }
        found.sort_by_key(|manifest| std::cmp::Reverse((manifest.seq, manifest.modified)));
        Ok(found)
    }

    /// The parts, with their sizes in the store.
    ///
    /// # Errors
    /// The store fails.
    pub async fn parts(&self) -> Result<Vec<(StoredPart, u64)>, StoreError> {
        let (mut found, history) = (Vec::new(), self.history);
        let mut each = |listed: Listed| {
            if let Some(Object::Part(digest)) = Object::parse(history, &listed.key) {
                found.push((StoredPart { digest, modified: listed.modified }, listed.bytes));
            }
        };
        self.store.list(&format!("{}parts/", root(history)), &mut each).await?;
        Ok(found)
    }
}
