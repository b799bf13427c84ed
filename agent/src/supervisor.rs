//! Takes snapshots of the served LDB when they are due, and uploads them.
//!
//! Files in the order of a run: `election` (is it this process that uploads?), `due` (is it time? pure), `tally` (how much
//! was added), `take` (a private copy of the file, frozen for a moment); then [`crate::snapshot`] uploads the copy. `aside` is
//! what is done with it besides: the original's layout, and removing what nobody needs. `told` is what is said of it.
//!
//! It never writes the LDB, and replay never waits for the store. Whatever goes wrong is said and tried again.

mod aside;
mod due;
mod election;
mod error;
mod take;
mod tally;
mod told;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use daemon::backoff::Backoff;
use daemon::log::Chain;
use ledger::snapshot::{Manifest, PIECE_BYTES};
use ledger::{Digest, LeaderTs, Position, Seq};
use prometheus_client::registry::Registry;
use store::{Catalog, Pointer, Store, StoreError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) use election::{Election, Role};
pub(crate) use error::UnableError;
pub(crate) use told::{Told, Uploaded};

use crate::args::{SnapshotArgs, TakingArgs, Uploader};
use crate::presence::Cluster;
use crate::replay::Requests;
use crate::snapshot::{self, Published, Rate, Upload};
use crate::status::{State, Status};
use crate::supervisor::aside::Aside;
use crate::supervisor::due::{Newest, Own, Terms, Wait, condemns, due, may};
use crate::supervisor::error::SuperviseError;
use crate::supervisor::take::Folder;
use crate::supervisor::tally::{Point, Tally};
use crate::supervisor::told::Outcome;

/// The first pause after a failure, at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// While a snapshot is uploaded, replay's state is looked at so often.
const WATCH: Duration = Duration::from_millis(200);

/// The loop.
#[derive(Debug)]
pub(crate) struct Supervisor {
    ldb_dir: PathBuf,
    store: Arc<dyn Store>,
    terms: Terms,
    upload: Upload,
    aside: Aside,
    role: Role,
    requests: Requests,
    status: Status,
    told: Told,
    tally: Tally,
    /// The newest snapshot, and since when it is known to be it: by a clock that nobody sets.
    newest: Option<((Seq, Digest), Instant)>,
    backoff: Backoff,
}

/// What the loop needs of others.
pub(crate) struct Surroundings {
    pub(crate) ldb_dir: PathBuf,
    pub(crate) requests: Requests,
    pub(crate) status: Status,
    /// Where elections are held.
    pub(crate) cluster: Option<Cluster>,
}

impl Supervisor {
    /// The loop of a process that is to upload snapshots, and its candidacy if one is elected; none where there is no
    /// store, or it is only to be read.
    pub(crate) fn make(
        args: &SnapshotArgs,
        around: Surroundings,
        registry: &mut Registry,
    ) -> Result<Option<(Self, Option<Election>)>, UnableError> {
        // Also where no snapshots are taken any more.
        if let Err(error) = Folder::clear(&around.ldb_dir) {
            tracing::warn!(error = %Chain(&error), "a copy that a crash left stays");
        }
        let Some(url) = &args.snapshot_url else { return Ok(None) };
        let (role, election) = match (args.snapshot_upload, &around.cluster) {
            (Uploader::Never, _) => return Ok(None),
            (Uploader::Always, _) => (Role::Always, None),
            (Uploader::Elected, None) => return Err(UnableError::NoCluster),
            (Uploader::Elected, Some(cluster)) => {
                let (election, role) = Election::new(cluster.clone(), args.snapshot_lease);
                (role, Some(election))
            }
        };
        let supervisor = Self::new(store::open(url), role, &args.taking, around)?;
        supervisor.told.metrics.register(registry);
        Ok(Some((supervisor, election)))
    }

    fn new(
        store: Arc<dyn Store>,
        role: Role,
        taking: &TakingArgs,
        around: Surroundings,
    ) -> Result<Self, UnableError> {
        let TakingArgs {
            snapshot_interval: interval,
            snapshot_min_entries: min_entries,
            snapshot_keep: retention,
            snapshot_rate_limit: bytes_per_second,
            snapshot_compat,
        } = taking.clone();
        let rate = Rate { bytes_per_second };
        let aside = Aside::new(snapshot_compat.as_ref(), rate, retention)?;
        let Surroundings { ldb_dir, requests, status, cluster: _ } = around;
        Ok(Self {
            ldb_dir,
            store,
            terms: Terms { interval, min_entries },
            upload: Upload { piece_bytes: PIECE_BYTES, rate },
            aside,
            role,
            requests,
            told: Told::new(status.clone()),
            status,
            tally: Tally::default(),
            newest: None,
            backoff: Backoff::new(FIRST_PAUSE.min(interval), interval),
        })
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> std::io::Result<()> {
        loop {
            let pause = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                pause = self.turn() => pause,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.role.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Looks, and takes a snapshot if it is due. How long to wait.
    async fn turn(&mut self) -> Duration {
        let outcome = match self.look().await {
            Ok(Ok(position)) => self.publish(position.seq).await,
            Ok(Err((why, again))) => {
                self.backoff.reset();
                self.told.ended(Outcome::Waiting, Some(why.to_string()));
                return spread(again);
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                self.backoff.reset();
                spread(self.terms.interval)
            }
            Err(error) => {
                let text = Chain(&error).to_string();
                if self.told.ended(error.outcome(), Some(text.clone())) {
                    tracing::warn!(error = text, "no snapshot was published, trying again later");
                }
                let pause = self.backoff.next().max(Duration::from_secs(1));
                // What the store will not do, it will not do the next minute either.
                if error.is_refused() { pause.max(spread(self.terms.interval)) } else { pause }
            }
        }
    }

    /// Is a snapshot due? The store is asked only if this process may upload one.
    async fn look(&mut self) -> Result<Result<Position, (Wait, Duration)>, SuperviseError> {
        let report = self.status.report();
        let (leads, catches_up) = (self.role.leads(), report.catch_up.is_some());
        let own = Own { leads, state: report.state, catches_up, position: report.position };
        if let Some(position) = report.position {
            let (changes, last) = (report.changes, report.last_change);
            self.tally.note(Point { seq: position.seq, changes, last });
        }
        let position = match may(&own) {
            Ok(position) => position,
            Err(wait) => return Ok(Err(wait)),
        };
        let newest = self.newest(position).await?;
        Ok(due(position.seq, newest, self.terms).map(|()| position))
    }

    async fn newest(&mut self, own: Position) -> Result<Option<Newest>, StoreError> {
        let catalog = Catalog::new(Arc::clone(&self.store), own.history);
        let Pointer::At(manifest, _) = catalog.pointer().await? else { return Ok(None) };
        Ok(Some(self.seen(&manifest)))
    }

    /// The newest snapshot, as it was just read or written.
    fn seen(&mut self, manifest: &Manifest) -> Newest {
        let Position { seq, digest, .. } = manifest.position;
        let known = match self.newest {
            Some((name, since)) if name == (seq, digest) => since,
            Some(_) | None => Instant::now(),
        };
        self.newest = Some(((seq, digest), known));
        let at = system_time(manifest.taken_at);
        self.told.newest(manifest.position, at);
        // Whoever took it may have a clock that is ahead.
        let age = SystemTime::now().duration_since(at).unwrap_or_default().max(known.elapsed());
        Newest { seq, age, changes: self.tally.after(seq) }
    }

    async fn publish(&mut self, at: Seq) -> Result<(), SuperviseError> {
        let start = Instant::now();
        let (lost, unsure) = (self.role.clone().lost(), unsure(self.status.clone()));
        let done = tokio::select! {
            biased;
            () = lost => return Err(SuperviseError::Deposed),
            state = unsure => return Err(SuperviseError::Unsure(state)),
            done = self.copy_and_upload() => done?,
        };
        let Published { outcome, parts, parts_uploaded, bytes_uploaded } = done.published;
        self.told.uploaded(parts_uploaded, bytes_uploaded);
        match outcome {
            snapshot::Outcome::Superseded(why) => {
                self.told.ended(Outcome::Superseded, Some(why.to_string()));
                tracing::info!(seq = %at, %why, "another snapshot is as new");
            }
            snapshot::Outcome::Newest(manifest) => {
                self.seen(&manifest);
                self.told.metrics.took(start.elapsed());
                let seconds = start.elapsed().as_secs_f64();
                tracing::info!(
                    seq = %manifest.position.seq,
                    method = ?manifest.method,
                    parts,
                    parts_uploaded,
                    bytes_uploaded,
                    seconds,
                    "snapshot published"
                );
                self.told.ended(Outcome::Published, done.aside);
            }
        }
        Ok(())
    }

    async fn copy_and_upload(&mut self) -> Result<Done, SuperviseError> {
        let folder = Folder::make(&self.ldb_dir)?;
        let frozen = take::take(&self.requests, &folder, &self.told.metrics).await?;
        let catalog = Catalog::new(Arc::clone(&self.store), frozen.position.history);
        let published = self.upload.publish(&catalog, &frozen).await?;
        let aside = match published.outcome {
            snapshot::Outcome::Newest(_) => self.aside.after(&catalog, &frozen, &folder).await,
            snapshot::Outcome::Superseded(_) => None,
        };
        Ok(Done { published, aside })
    }
}

/// A snapshot was uploaded.
struct Done {
    published: Published,
    /// What went wrong beside it.
    aside: Option<String>,
}

/// Waits until it turns out that the copy may hold what the ledger has lost.
async fn unsure(status: Status) -> State {
    loop {
        let state = status.report().state;
        if condemns(state) {
            return state;
        }
        sleep(WATCH).await;
    }
}

/// Many agents must not come in step.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(1.0..1.1))
}

fn system_time(at: LeaderTs) -> SystemTime {
    let micros = u64::try_from(at.as_micros()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}
