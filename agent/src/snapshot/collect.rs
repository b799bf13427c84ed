//! Removes what nobody needs any more: manifests first, then parts that no manifest names.

use std::collections::BTreeSet;

use ledger::snapshot::{Object, Retention, expired, unnamed};

use crate::snapshot::{Catalog, Pointer, SnapshotError};
use store::now;

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Manifests.
    pub manifests: usize,
    /// Parts.
    pub parts: usize,
}

/// Collects. Without a pointer, or when a manifest that stays cannot be read, nothing is removed that could be named by it.
///
/// # Errors
/// The store fails, or a manifest cannot be read.
pub async fn collect(catalog: &Catalog, retention: Retention) -> Result<Collected, SnapshotError> {
    // In this order: a part that an upload writes from here on is not in the list.
    let parts = catalog.parts().await?;
    let Pointer::At(newest, _) = catalog.pointer().await? else { return Ok(Collected::default()) };
    let manifests = catalog.manifests().await?;
    let at = (newest.position.seq, newest.position.digest);
    let gone = expired(&manifests, at, retention, now());
    let mut named: BTreeSet<_> = newest.parts().map(|part| part.digest).collect();
    for kept in &manifests {
        if !gone.contains(&Object::Manifest(kept.seq, kept.digest)) {
            let manifest = catalog.manifest(kept.seq, kept.digest).await?;
            named.extend(manifest.parts().map(|part| part.digest));
        }
    }
    for object in &gone {
        catalog.store.delete(&object.key(catalog.history)).await?;
    }
    let stored: Vec<_> = parts.into_iter().map(|(part, _)| part).collect();
    let unnamed = unnamed(&stored, &named, now());
    for part in &unnamed {
        catalog.store.delete(&Object::Part(*part).key(catalog.history)).await?;
    }
    Ok(Collected { manifests: gone.len(), parts: unnamed.len() })
}
