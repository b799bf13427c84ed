//! What is done besides when a snapshot was published: it is written in the original's layout, if that was asked for, and
//! what nobody needs any more is removed. Neither keeps the snapshot from counting; what goes wrong is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::log::Chain;
use ledger::snapshot::{ObjectKey, Retention};
use store::{Catalog, Location, Store};

use crate::snapshot::{Frozen, Rate, SnapshotError, collect, original_place, write_original};
use crate::supervisor::UnableError;
use crate::supervisor::take::{Folder, TakeError, need};

/// The store is not searched for what may go more often.
const BETWEEN_COLLECTIONS: Duration = Duration::from_secs(3600);

/// What is done besides.
#[derive(Debug)]
pub(super) struct Aside {
    compat: Option<(Arc<dyn Store>, ObjectKey)>,
    rate: Rate,
    retention: Retention,
    collected: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum CompatError {
    #[error(transparent)]
    Room(TakeError),
    #[error(transparent)]
    Write(SnapshotError),
}

impl Aside {
    pub(super) fn new(
        compat: Option<&Location>,
        rate: Rate,
        retention: Retention,
    ) -> Result<Self, UnableError> {
        let object = |place| {
            let (store, key) = original_place(place).ok_or(UnableError::NoObject)?;
            Ok((store::open(&store), key))
        };
        let compat = compat.map(object).transpose()?;
        Ok(Self { compat, rate, retention, collected: None })
    }

    /// Does it, with the file that was uploaded; what went wrong.
    pub(super) async fn after(
        &mut self,
        catalog: &Catalog,
        frozen: &Frozen,
        folder: &Folder,
    ) -> Option<String> {
        let mut wrong = Vec::new();
        if let Err(error) = self.write_compat(frozen, folder).await {
            let text = Chain(&error).to_string();
            tracing::warn!(error = text, "the snapshot was not written in the original's layout");
            wrong.push(format!("--snapshot-compat: {text}"));
        }
        if let Err(error) = self.collect(catalog).await {
            let text = Chain(&error).to_string();
            tracing::warn!(error = text, "old snapshots were not removed");
            wrong.push(format!("old snapshots stay: {text}"));
        }
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }

    async fn write_compat(&self, frozen: &Frozen, folder: &Folder) -> Result<(), CompatError> {
        let Some((store, key)) = &self.compat else { return Ok(()) };
        // Compressed, it may be as large as it is.
        let bytes = tokio::fs::metadata(&frozen.path).await.map_err(|source| {
            CompatError::Write(SnapshotError::file("look at", &frozen.path)(source))
        })?;
        need(folder.path(), bytes.len()).map_err(CompatError::Room)?;
        let written = write_original(&**store, key, &frozen.path, folder.path(), self.rate).await;
        written.map_err(CompatError::Write)
    }

    async fn collect(&mut self, catalog: &Catalog) -> Result<(), SnapshotError> {
        if self.collected.is_some_and(|last| last.elapsed() < BETWEEN_COLLECTIONS) {
            return Ok(());
        }
        self.collected = Some(Instant::now());
        let gone = collect(catalog, self.retention).await?;
        let (manifests, parts) = (gone.manifests, gone.parts);
        if manifests + parts > 0 {
            tracing::info!(manifests, parts, "removed old snapshots");
        }
        Ok(())
    }
}
