//! Begins with a snapshot of the original, where none of ours fits. Its file says a number only: what stands at that number
//! in the ledger is taken for the entry that it applied. Nothing proves that, so it is done only where somebody named the
//! file, for a node without an LDB. A file that we wrote in the original's layout says all of its position, which is compared.

use std::sync::Arc;

use ledger::snapshot::ObjectKey;
use ledger::{Chain, History, LeaderTs, Position, Seq};
use store::{Location, Store};

use crate::bootstrap::decide::{Standing, standing};
use crate::bootstrap::gather::{Gathered, read};
use crate::bootstrap::load::Loaded;
use crate::bootstrap::told::Phase;
use crate::bootstrap::{Bootstrap, BootstrapError};
use crate::ldb::adopt;
use crate::ldb::contents::{self, Outline};
use crate::snapshot::{SnapshotError, original_place, read_original};
use crate::source::Survey;

/// The one object that it is.
#[derive(Debug, Clone)]
pub(super) struct Original {
    store: Arc<dyn Store>,
    key: ObjectKey,
}

impl Original {
    /// None: the place names no object.
    pub(super) fn new(place: &Location) -> Option<Self> {
        let (place, key) = original_place(place)?;
        Some(Self { store: store::open(&place), key })
    }

    fn failed(&self) -> impl Fn(SnapshotError) -> BootstrapError {
        let place = format!("{}{}", self.store.place(), self.key.as_str());
        move |source| BootstrapError::Original { place: place.clone(), source }
    }
}

impl Bootstrap {
    /// Gets it, and takes it into use.
    pub(super) async fn load_original(
        &mut self,
        original: &Original,
        gathered: &Gathered,
    ) -> Result<Loaded, BootstrapError> {
        let failed = original.failed();
        let stat =
            original.store.head(&original.key).await.map_err(|source| failed(source.into()))?;
        if let Some((refused, what)) = &self.refused
            && *refused == stat
        {
            return Err(failed(SnapshotError::Differs { what: what.clone() }));
        }
        self.told.phase(Phase::Downloading, "the original's snapshot".to_owned());
        let work = self.snapshots.incoming.clone();
        let got = read_original(&*original.store, &original.key, &work).await;
        let checked = match got {
            Ok(file) => checked(file.clone()).await.map(|outline| (file, outline)),
            Err(error) => Err(error),
        };
        let (file, outline) = match checked {
            Err(error) if error.is_bad_copy() => {
                self.refused = Some((stat, daemon::log::Chain(&error).to_string()));
                return Err(failed(error));
            }
            outcome => outcome.map_err(&failed)?,
        };
        let Some(seq) = outline.seq else {
            return Err(failed(differs("nothing was applied to it".to_owned())));
        };
        let survey = self.requests.look(vec![seq]).await?.ledger;
        let survey = survey.map_err(|source| BootstrapError::NobodyVouches { source })?;
        let position =
            place(seq, outline.position, &survey).map_err(|what| failed(differs(what)))?;
        let own = file.clone();
        let adopted = tokio::task::spawn_blocking(move || adopt(&own, &position)).await;
        match adopted {
            Ok(adopted) => adopted.map_err(|source| BootstrapError::Draft { source })?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        self.take_into_use(gathered, &file).await?;
        let taken_at = outline.last_update.unwrap_or(LeaderTs::UNKNOWN);
        Ok(Loaded { position, taken_at, bytes: stat.bytes })
    }
}

/// Each page is looked at: the checksum may not be there.
async fn checked(file: std::path::PathBuf) -> Result<Outline, SnapshotError> {
    match tokio::task::spawn_blocking(move || contents::check(&file)).await {
        Ok(outline) => Ok(outline?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn differs(what: String) -> SnapshotError {
    SnapshotError::Differs { what }
}

/// Where a file stands that says this, or why the ledger does not go on from it.
fn place(seq: Seq, own: Option<Position>, survey: &Survey) -> Result<Position, String> {
    let ledger = read(survey);
    // An original reflector that goes on from a file of ours leaves our books as they were.
    if let Some(own) = own.filter(|own| own.seq == seq) {
        return match standing(&own, &ledger) {
            Standing::Follows => Ok(own),
            Standing::Ahead => Err(ahead(seq, ledger.head)),
            Standing::Pruned => Err(pruned(seq, ledger.low_water)),
            Standing::Forked => Err(format!("its entry {seq} is not that of the ledger")),
        };
    }
    if seq > ledger.head {
        return Err(ahead(seq, ledger.head));
    }
    let Some(&digest) = survey.digests.get(&seq) else {
        return Err(pruned(seq, ledger.low_water));
    };
    let history = match ledger.parent {
        Some((parent, end)) if seq <= end => parent,
        Some(_) | None => ledger.history,
    };
    let chain = match history {
        // Nobody checks it there.
        History::Legacy => Chain::GENESIS,
        History::Id(_) => *survey
            .chains
            .get(&seq)
            .ok_or_else(|| format!("it stands at entry {seq}, within a batch: take another one"))?,
    };
    Ok(Position { history, seq, digest, chain })
}

fn ahead(seq: Seq, head: Seq) -> String {
    format!("it stands at entry {seq}, and the ledger ends at {head}")
}

fn pruned(seq: Seq, low_water: Seq) -> String {
    format!(
        "it stands at entry {seq}, which is not in the ledger, that begins after entry {low_water}"
    )
}
