//! Gets a snapshot, and hands it to the LDB's writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ledger::snapshot::{ROOT, history_of_pointer};
use ledger::{Chain, History, LeaderTs, Position};
use rand::RngExt as _;
use store::{Catalog, Location, Store};

use crate::Config;
use crate::bootstrap::decide::{self, Own, Standing, standing};
use crate::bootstrap::gather::Gathered;
use crate::bootstrap::original::Original;
use crate::bootstrap::told::Phase;
use crate::bootstrap::{Bootstrap, BootstrapError};
use crate::ldb::Claim;
use crate::replay::Origin;
use crate::snapshot::{Download, Pointer, Progress, SnapshotError};

/// In the LDB's directory, on the disk where the file will stay; what is in it is found again after a restart.
const INCOMING: &str = ".incoming";
/// Parts at once.
const PARALLEL: usize = 4;
/// Between two looks at how far it is.
const TICK: Duration = Duration::from_millis(200);

/// A snapshot that was taken into use.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) position: Position,
    pub(crate) taken_at: LeaderTs,
    pub(crate) bytes: u64,
}

/// Where snapshots are, and where they are put together.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    store: Option<Arc<dyn Store>>,
    /// One of the original, for want of others.
    pub(super) original: Option<Original>,
    /// Fresh nodes of one moment ask a bucket spread over this time.
    jitter: Duration,
    pub(super) incoming: PathBuf,
}

impl Snapshots {
    /// Touches neither network nor disk.
    pub(crate) fn new(config: &Config, ldb_dir: &Path) -> Self {
        let url = config.snapshot.snapshot_url.as_ref();
        let original = config.bootstrap.bootstrap_url.as_ref();
        let is_remote = url.into_iter().chain(original).any(|at| matches!(at, Location::S3(_)));
        let jitter = if is_remote { config.bootstrap.bootstrap_jitter } else { Duration::ZERO };
        let (store, original) = (url.map(store::open), original.and_then(Original::new));
        Self { store, original, jitter, incoming: ldb_dir.join(INCOMING) }
    }

    /// Is there no place for them?
    pub(crate) fn are_none(&self) -> bool {
        self.store.is_none() && self.original.is_none()
    }

    /// How long to wait before a bucket is asked for the first time, by chance.
    pub(super) fn spread(&self) -> Duration {
        self.jitter.mul_f64(rand::rng().random_range(0.0..1.0))
    }

    /// What an earlier start may have left is not needed any more.
    pub(super) fn forget(&self) {
        match std::fs::remove_dir_all(&self.incoming) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "cannot remove what was left of a download");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// The snapshots of these histories. Without any, those of the history of which a snapshot was taken last.
    pub(super) async fn known(
        &self,
        histories: Option<&[History]>,
    ) -> Result<(Vec<Catalog>, decide::Snapshots), SnapshotError> {
        let Some(store) = &self.store else {
            return Ok((Vec::new(), decide::Snapshots::NotConfigured));
        };
        let histories = match histories {
            Some(histories) => histories.to_vec(),
            None => latest(store).await?.into_iter().collect(),
        };
        let (mut catalogs, mut known) = (Vec::new(), Vec::new());
        for history in histories {
            let catalog = Catalog::new(Arc::clone(store), history);
            for manifest in catalog.manifests().await? {
                let (seq, digest) = (manifest.seq, manifest.digest);
                // The chain is in the manifest, and nobody decides by it.
                known.push(Position { history, seq, digest, chain: Chain::GENESIS });
            }
            catalogs.push(catalog);
        }
        Ok((catalogs, decide::Snapshots::Known(known)))
    }
}

/// The history of which a snapshot was taken last.
async fn latest(store: &Arc<dyn Store>) -> Result<Option<History>, SnapshotError> {
    let mut histories = Vec::new();
    let mut each = |listed: store::Listed| histories.extend(history_of_pointer(&listed.key));
    store.list(ROOT, &mut each).await?;
    let mut newest = None;
    for history in histories {
        if let Pointer::At(manifest, _) = Catalog::new(Arc::clone(store), history).pointer().await?
        {
            newest = newest.max(Some((manifest.taken_at, history.to_string(), history)));
        }
    }
    Ok(newest.map(|(_, _, history)| history))
}

impl Bootstrap {
    /// Gets the first of these snapshots that is a good copy, and takes it into use.
    pub(super) async fn download(
        &mut self,
        gathered: &Gathered,
        positions: &[Position],
    ) -> Result<Loaded, BootstrapError> {
        let progress = Arc::new(Progress::default());
        let dir = self.snapshots.incoming.clone();
        let download = Download { dir, parallel: PARALLEL, progress: Arc::clone(&progress) };
        let mut refused = SnapshotError::None;
        for catalog in &gathered.catalogs {
            let wanted = |at: &Position| {
                let same = |one: &&Position| (one.seq, one.digest) == (at.seq, at.digest);
                at.history == catalog.history && positions.iter().any(|one| same(&one))
            };
            if !positions.iter().any(|position| position.history == catalog.history) {
                continue;
            }
            let getting = download.newest(catalog, wanted);
            match self.watched(getting, &progress).await {
                Ok((path, manifest)) => {
                    let bytes = manifest.whole_file().map_or(0, |file| file.bytes);
                    let (position, taken_at) = (manifest.position, manifest.taken_at);
                    let loaded = Loaded { position, taken_at, bytes };
                    self.take_into_use(gathered, &path).await?;
                    return Ok(loaded);
                }
                Err(error) if error.is_none_usable() => refused = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused.into())
    }

    /// Tells how far it is meanwhile.
    async fn watched<T>(&self, getting: impl Future<Output = T>, progress: &Progress) -> T {
        let mut getting = std::pin::pin!(getting);
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                got = &mut getting => return got,
                _ = tick.tick() => {
                    let (of, bytes) = progress.get();
                    self.told.progress(bytes, of);
                }
            }
        }
    }

    pub(super) async fn take_into_use(
        &mut self,
        gathered: &Gathered,
        file: &Path,
    ) -> Result<(), BootstrapError> {
        self.told.phase(Phase::Switching, String::new());
        let (drafts, file) = (self.requests.drafts(), file.to_owned());
        let moved = tokio::task::spawn_blocking(move || {
            let mut draft = drafts.begin().map_err(|source| BootstrapError::Draft { source })?;
            std::fs::rename(&file, draft.file())
                .map_err(|source| BootstrapError::Move { source })?;
            draft.vouch();
            Ok::<_, BootstrapError>(draft)
        });
        let draft = match moved.await {
            Ok(moved) => moved?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let Gathered { seen, own, .. } = gathered;
        match (own, &seen.ledger) {
            // Its last entries are of no ledger any more.
            (Own::At(position), Some(ledger)) if standing(position, ledger) == Standing::Forked => {
                self.requests.rebuild(Origin::DraftOfOther(draft)).await?;
            }
            (Own::Empty, _) => self.requests.publish(draft, Claim::AtLeast).await?,
            (Own::At(_), _) if seen.own == *own => {
                self.requests.publish(draft, Claim::AtLeast).await?;
            }
            (Own::At(_) | Own::Unsound, _) => self.requests.rebuild(Origin::Draft(draft)).await?,
        }
        self.snapshots.forget();
        Ok(())
    }
}
