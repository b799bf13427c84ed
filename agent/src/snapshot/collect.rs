//! Removes what nobody needs any more: manifests first, then parts that no manifest names.

use std::collections::BTreeSet;
use std::time::Duration;

use ledger::LeaderTs;
use ledger::snapshot::{
    Manifest, Object, PartDigest, Retention, StoredManifest, StoredPart, expired, unnamed,
};
use store::now;
use tokio::time::Instant;

use crate::snapshot::{Catalog, Pointer, SnapshotError};

/// What was seen is believed for so long; what is left goes next time.
const LONGEST: Duration = Duration::from_secs(600);

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Manifests.
    pub manifests: usize,
    /// Parts.
    pub parts: usize,
}

/// Collects, right after a snapshot was published. Without a pointer, or when a manifest that stays cannot be read, nothing
/// is removed that could be named by it.
///
/// # Errors
/// The store fails, or a manifest cannot be read.
pub async fn collect(catalog: &Catalog, retention: Retention) -> Result<Collected, SnapshotError> {
    let deadline = Instant::now() + LONGEST;
    // In this order: a part that an upload writes from here on is not in the list.
    let parts = catalog.parts().await?;
    let Pointer::At(newest, _) = catalog.pointer().await? else { return Ok(Collected::default()) };
    let at = at(catalog).await?;
    let manifests = catalog.manifests().await?;
    let gone = expired(&manifests, (newest.position.seq, newest.position.digest), retention, at);
    let named = named(catalog, &newest, &manifests, &gone).await?;
    for object in &gone {
        catalog.store.delete(&object.key(catalog.history)).await?;
    }
    let mut collected = Collected { manifests: gone.len(), parts: 0 };
    let stored: Vec<_> = parts.into_iter().map(|(part, _)| part).collect();
    for digest in unnamed(&stored, &named, at) {
        // Somebody may have uploaded it again since it was listed, and be about to name it.
        let key = Object::Part(digest).key(catalog.history);
        let modified = match catalog.store.head(&key).await {
            Ok(stat) => stat.modified,
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        if Instant::now() > deadline {
            break;
        }
        if !unnamed(&[StoredPart { digest, modified }], &named, at).is_empty() {
            catalog.store.delete(&key).await?;
            collected.parts += 1;
        }
    }
    Ok(collected)
}

/// What time it is, at least: when the pointer moved last, by the clock that wrote the times of all objects. A clock of ours
/// that is ahead must not make young parts old.
async fn at(catalog: &Catalog) -> Result<LeaderTs, SnapshotError> {
    let moved = catalog.store.head(&Object::Pointer.key(catalog.history)).await?.modified;
    Ok(moved.min(now()))
}

/// The parts that are named by what stays.
async fn named(
    catalog: &Catalog,
    newest: &Manifest,
    manifests: &[StoredManifest],
    gone: &[Object],
) -> Result<BTreeSet<PartDigest>, SnapshotError> {
    let mut named: BTreeSet<_> = newest.parts().map(|part| part.digest).collect();
    for kept in manifests {
        if !gone.contains(&Object::Manifest(kept.seq, kept.digest)) {
            let manifest = catalog.manifest(kept.seq, kept.digest).await?;
            named.extend(manifest.parts().map(|part| part.digest));
        }
    }
    Ok(named)
}
