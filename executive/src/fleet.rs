//! Where the fleet is, again and again, and whether the ledger is behind it: [`crate::hold`] decides what becomes of that.
//!
//! Two may say it: the pointer to the newest snapshot of this history, which every node may begin from, and a file with
//! what nodes report. What was read last counts while one of them cannot be read. One that could never be read says
//! nothing and holds nothing up: that a store is away must not keep a healthy ctldb from being written.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daemon::log::Chain;
use daemon::ready::Gate;
use ledger::snapshot::ManifestError;
use ledger::{History, Mark, Seq};
use store::{Catalog, Location, Pointer, Store, StoreError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::hold::{Seen, behind};

/// Between two comparisons, and until the first one.
const BEAT: Duration = Duration::from_secs(5);
const FIRST: Duration = Duration::from_millis(200);
/// A comparison takes no longer: [`PATIENCE`], and what ctldb may take.
const ROUND: Duration = Duration::from_secs(20);
/// A store that has not answered by then is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at a pointer that was read and holds nothing up, give or take a quarter: it moves every few minutes.
const CALM: Duration = Duration::from_secs(30);

/// Who says where the fleet is.
#[derive(Debug)]
pub(crate) struct Fleet {
    file: Option<Source<PathBuf>>,
    pointer: Option<Source<Arc<dyn Store>>>,
    /// The pointer is not looked at before.
    next: Instant,
}

/// One who says it.
#[derive(Debug)]
struct Source<P> {
    place: P,
    /// What it said last.
    mark: Option<Mark>,
    fails: bool,
}

/// A source that does not say where the fleet is.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("cannot read {file}, check that it is mounted and that we may read it")]
    Read { file: String, source: std::io::Error },
    #[error("{file} holds no position")]
    Mark { file: String, source: ledger::MarkError },
    #[error("the pointer to the newest snapshot")]
    Store(#[from] StoreError),
    #[error("the pointer to the newest snapshot cannot be used")]
    Pointer(#[from] ManifestError),
    #[error("the snapshots' store does not answer within {PATIENCE:?}")]
    Slow,
}

impl Fleet {
    /// None: nobody says where the fleet is.
    pub(crate) fn new(file: Option<PathBuf>, snapshots: Option<&Location>) -> Option<Self> {
        let file = file.map(Source::new);
        let pointer = snapshots.map(|location| Source::new(store::open(location)));
        (file.is_some() || pointer.is_some()).then(|| Self { file, pointer, next: Instant::now() })
    }

    /// Asks whoever is due.
    async fn look(&mut self, history: History) {
        let Self { file, pointer, next } = self;
        if let Some(file) = file {
            file.said(read_file(&file.place).map(Some));
        }
        if let Some(pointer) = pointer
            && Instant::now() >= *next
        {
            let read = timeout(PATIENCE, read_pointer(&pointer.place, history)).await;
            let read = read.unwrap_or(Err(Unknown::Slow));
            *next = Instant::now();
            if read.is_ok() {
                *next += CALM.mul_f64(rand::random_range(0.75..1.25));
            }
            pointer.said(read);
        }
    }

    /// The pointer is looked at with the next beat.
    fn hurry(&mut self) {
        self.next = Instant::now();
    }

    fn marks(&self) -> impl Iterator<Item = Mark> {
        let file = self.file.as_ref().and_then(|source| source.mark);
        let pointer = self.pointer.as_ref().and_then(|source| source.mark);
        file.into_iter().chain(pointer)
    }

    fn fails(&self) -> bool {
        self.file.as_ref().is_some_and(|source| source.fails)
            || self.pointer.as_ref().is_some_and(|source| source.fails)
    }
}

impl<P: fmt::Debug> Source<P> {
    fn new(place: P) -> Self {
        Self { place, mark: None, fails: false }
    }

    fn said(&mut self, read: Result<Option<Mark>, Unknown>) {
        let failed = read.is_err();
        match read {
            Ok(mark) => self.mark = mark,
            // Once, and not with every beat.
            Err(error) if !self.fails => tracing::warn!(
                error = %Chain(&error), known = self.mark.map(|mark| mark.to_string()),
                "where the fleet is cannot be read, going by what is known"
            ),
            Err(_) => {}
        }
        if self.fails && !failed {
            tracing::info!("where the fleet is can be read again");
        }
        self.fails = failed;
    }
}

/// Compares the ledger with the fleet until `stop`. We are not ready before the first time.
pub(crate) async fn watch(
    app: App,
    (mut fleet, gate): (Fleet, Gate),
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let compare = async {
        let mut pause = FIRST;
        loop {
            match timeout(ROUND, compare(&app, &mut fleet)).await {
                Ok(Ok(())) => {
                    gate.set(true, "");
                    pause = BEAT;
                }
                // A ctldb that does not answer takes no changes, and who watches its health says so.
                Ok(Err(error)) => {
                    tracing::debug!(error = %Chain(&error), "the ledger was not compared with the fleet");
                }
                Err(_) => tracing::debug!("the ledger was not compared with the fleet in time"),
            }
            sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        never = compare => never,
    }
}

async fn compare(app: &App, fleet: &mut Fleet) -> Result<(), ctldb::Error> {
    fleet.look(app.db.meta().await?.history).await;
    // The ledger is read last: what a node has was in it before.
    let reason = verdict(app, fleet).await?;
    if reason.is_some() {
        fleet.hurry();
    }
    app.metrics.behind.set(reason.is_some().into());
    app.metrics.fleet_unknown.set(fleet.fails().into());
    if app.hold.set(reason) {
        tracing::warn!(hold = app.hold.reason(), "the ledger was compared with the fleet");
    }
    Ok(())
}

/// Why nothing may be written, if so.
async fn verdict(app: &App, fleet: &Fleet) -> Result<Option<String>, ctldb::Error> {
    let meta = app.db.meta().await?;
    for fleet in fleet.marks() {
        let there = meta.pruned_through < fleet.seq && fleet.seq <= meta.last_seq();
        let entry = match Seq::new(fleet.seq.get() - 1) {
            Some(before) if there && fleet.history == meta.history => {
                app.db.entries(before, 1).await?.first().map(|entry| (entry.seq, entry.digest()))
            }
            Some(_) | None => None,
        };
        let digest = entry.filter(|(seq, _)| *seq == fleet.seq).map(|(_, digest)| digest);
        if let Some(reason) = behind(&Seen { meta: &meta, fleet, digest }) {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

fn read_file(file: &Path) -> Result<Mark, Unknown> {
    let name = || file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|source| Unknown::Read { file: name(), source })?;
    text.trim().parse().map_err(|source| Unknown::Mark { file: name(), source })
}

/// None: there is no snapshot of this history yet.
async fn read_pointer(store: &Arc<dyn Store>, history: History) -> Result<Option<Mark>, Unknown> {
    match Catalog::new(Arc::clone(store), history).pointer().await? {
        Pointer::At(manifest, _) => Ok(Some(manifest.position.mark())),
        Pointer::Absent => Ok(None),
        Pointer::Damaged(error, _) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use ledger::Digest;

    use super::*;

    #[test]
    fn the_file_holds_a_position_as_the_header_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fleet");
        let seq = Seq::new(7).unwrap();
        let position = Mark { history: History::Legacy, seq, digest: Digest::from_bytes([7; 32]) };
        std::fs::write(&file, format!("{position}\n")).unwrap();
        assert_eq!(read_file(&file).unwrap(), position);
        std::fs::write(&file, "seven").unwrap();
        assert!(matches!(read_file(&file), Err(Unknown::Mark { .. })));
        assert!(matches!(read_file(&dir.path().join("none")), Err(Unknown::Read { .. })));
    }
}
