//! Prunes the ledger: finds out who may still need it, from snapshots and nodes, and has `ctldb` decide and remove the
//! rest. The leader does it daily if it was told to; `ctlstore ledger prune` does it once.

mod daily;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ctldb::{CtlDb, Known, Meta, Prunable, Verdict, prunable_through};
use ledger::snapshot::{ManifestError, PartDigest};
use ledger::{LeaderTs, Mark, Position, Seq};
use store::{Catalog, CatalogError, Pointer, Store, StoreError};

pub(crate) use daily::{Nodes, run};

/// Who may still need the ledger, and how long it is kept in any case.
#[derive(Debug, Clone)]
pub struct Pruning {
    /// Entries younger than this stay.
    pub keep: Duration,
    /// Where snapshots are. None: said not to matter.
    pub snapshots: Option<Arc<dyn Store>>,
    /// Where the nodes stand that reported within a day. None: said not to matter.
    pub nodes: Option<Vec<Mark>>,
}

/// What may be pruned now, and why not more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The ledger, as it was looked at.
    pub meta: Meta,
    /// Each limit with its reason.
    pub verdict: Verdict,
    /// What would go.
    pub prunable: Prunable,
}

/// It cannot be said what may be pruned, so nothing is.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// ctldb did not say.
    #[error("the ledger cannot be looked at")]
    Database(#[from] ctldb::Error),
    /// The store did not say.
    #[error("nothing is pruned, for it cannot be found out what snapshots there are")]
    Store(#[from] StoreError),
    /// A manifest was not read.
    #[error("nothing is pruned, for it cannot be found out what snapshots there are")]
    Catalog(#[from] CatalogError),
    /// The pointer is damaged or of a later release.
    #[error("nothing is pruned, for the pointer to the newest snapshot cannot be used")]
    Pointer(#[source] ManifestError),
    /// ctldb was restored, and nobody decided yet what is to become of that.
    #[error(
        "nothing is pruned: the newest snapshot is at entry {seq}, and the ledger has another one there or none, so ctldb was restored to an earlier state: decide that first, with \"ctlstore ctldb new-history\" or by waiting for the lost entries"
    )]
    Ahead {
        /// The snapshot's last entry.
        seq: Seq,
    },
    /// Who knows about nodes did not say.
    #[error("nothing is pruned, for it cannot be found out where the nodes are")]
    Nodes(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Pruning {
    /// Looks at what may be pruned. Changes nothing; [`CtlDb::prune`] up to the verdict's sequence does it.
    ///
    /// # Errors
    /// ctldb or the store is away, or what they say does not go together.
    pub async fn plan(&self, ctldb: &CtlDb) -> Result<Plan, PruneError> {
        let meta = ctldb.meta().await?;
        let snapshots = match &self.snapshots {
            Some(store) => {
                let catalog = Catalog::new(Arc::clone(store), meta.history);
                Some(verified(&catalog, ctldb, &meta).await?)
            }
            None => None,
        };
        let old_through = ctldb.written_before(before(store::now(), self.keep)).await?;
        let known = Known { old_through, snapshots, nodes: self.nodes.clone() };
        let verdict = prunable_through(&meta, &known);
        let prunable = ctldb.prunable(verdict.through).await?;
        Ok(Plan { meta, verdict, prunable })
    }
}

fn before(time: LeaderTs, age: Duration) -> LeaderTs {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    LeaderTs::from_micros(time.as_micros().saturating_sub(age))
}

/// The last entries of the two newest snapshots that a node can begin from: not above the pointer, which moves only when a
/// snapshot was read back; manifest and parts are there; and their last entry is in this ledger.
async fn verified(catalog: &Catalog, ctldb: &CtlDb, meta: &Meta) -> Result<Vec<Seq>, PruneError> {
    let newest = match catalog.pointer().await? {
        Pointer::Absent => return Ok(Vec::new()),
        Pointer::Damaged(error, _) => return Err(PruneError::Pointer(error)),
        Pointer::At(manifest, _) => manifest.position,
    };
    if !is_in(ctldb, meta, &newest).await? {
        return Err(PruneError::Ahead { seq: newest.seq });
    }
    let listed = catalog.parts().await?;
    let parts: HashSet<PartDigest> = listed.into_iter().map(|(part, _)| part.digest).collect();
    let mut found = Vec::new();
    for stored in catalog.manifests().await? {
        if found.len() == 2 {
            break;
        }
        if stored.seq > newest.seq {
            continue;
        }
        match catalog.manifest(stored.seq, stored.digest).await {
            Ok(manifest) => {
                let whole = manifest.parts().all(|part| parts.contains(&part.digest));
                if whole && is_in(ctldb, meta, &manifest.position).await? {
                    found.push(stored.seq);
                }
            }
            Err(error) if error.is_bad_copy() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Is this the ledger's entry there? Of one that was pruned it cannot be said any more, and it keeps nothing.
async fn is_in(ctldb: &CtlDb, meta: &Meta, position: &Position) -> Result<bool, ctldb::Error> {
    if position.seq <= meta.pruned_through {
        return Ok(true);
    }
    let entries = ctldb.entries(position.seq.before(), 1).await?;
    let same =
        |entry: &ledger::Entry| entry.seq == position.seq && entry.digest() == position.digest;
    Ok(entries.first().is_some_and(same))
}
