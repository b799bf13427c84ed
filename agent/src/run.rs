//! Puts the agent together: open the LDB, listen, start the tasks. The whole process on one screen.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use daemon::admin::{Admin, Liveness};
use daemon::net::bind;
use daemon::ready::Readiness;
use daemon::tasks::Tasks;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::ldb::{Heartbeat, Writer};
use crate::metrics::Metrics;
use crate::presence::Cluster;
use crate::read_api;
use crate::replay::{Replay, Requests, Told, bar};
use crate::source::Upstream;
use crate::status::Status;
use crate::supervisor::{Supervisor, Surroundings};

/// The last transaction ends within this.
const DRAIN: Duration = Duration::from_secs(10);

/// Where the agent really listens, and which directory it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Of the read API.
    pub read_addr: Option<SocketAddr>,
    /// Of health and metrics.
    pub admin_addr: Option<SocketAddr>,
    /// The directory of the LDB.
    pub ldb_dir: PathBuf,
}

/// Runs the agent until `stop` is cancelled. It is ready as soon as its LDB can be read, whether ctldb is there or not.
///
/// # Errors
/// The LDB cannot be opened, an address cannot be listened on, or a task fails.
pub async fn run(
    config: Config,
    stop: CancellationToken,
    started: impl FnOnce(Started) + Send,
) -> anyhow::Result<()> {
    let Config { ldb_dir, ctldb, ctldb_url_file, read_bind, admin_bind, poll_interval, .. } =
        config;
    let Config { ldb, snapshot, presence, .. } = config;
    let readiness = Readiness::new();
    let opening = readiness.handle("ldb");
    let liveness = Liveness::new();
    let (metrics, status, mut registry) = (Metrics::default(), Status::new(), Registry::default());
    metrics.register(&mut registry, status.clone());

    let dir = ldb_dir.clone();
    let open = move || -> anyhow::Result<_> {
        let writer = Writer::open(&dir, ldb)?;
        // After the writer, whose shared memory the readers of this process then share.
        Ok((writer, Heartbeat::open(&dir)?, reader::Ldb::open(&dir)?))
    };
    let opened = tokio::task::spawn_blocking(open).await?;
    let (writer, heartbeat, ldb) = opened.context("open the LDB")?;
    let read_listener = listen(read_bind).await?;
    let admin_listener = listen(admin_bind).await?;
    let read_addr = read_listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let admin_addr = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;

    let mut tasks = Tasks::new(stop);
    // A look and a write together stay far below it.
    let pulse = liveness.watch("replay", poll_interval * 2 + Duration::from_secs(120));
    let upstream = Upstream::new(ctldb, ctldb_url_file);
    let (requests, asked) = Requests::new(writer.drafts());
    let told = Told::new(status.clone(), metrics);
    let replay = Replay::new(upstream, told, asked, poll_interval, pulse);
    tasks.spawn("replay", replay.run(writer, tasks.stop()));
    if bar::is_seen() {
        tasks.spawn("progress bar", bar::run(status.clone(), tasks.stop()));
    }
    tasks.spawn("heartbeat", heartbeat.run(tasks.stop()));
    let cluster = Cluster::of(&presence).await?;
    let own = (ldb_dir.clone(), status.clone());
    let around = Surroundings { ldb_dir: own.0, requests, status: own.1, cluster };
    if let Some((supervisor, election)) = Supervisor::make(&snapshot, around, &mut registry)? {
        if let Some(election) = election {
            tasks.spawn("snapshot election", election.run(tasks.stop()));
        }
        tasks.spawn("snapshots", supervisor.run(tasks.stop()));
    }
    if let Some(listener) = read_listener {
        tasks.spawn("read api", read_api::serve(listener, ldb, status, tasks.stop()));
    }
    if let Some(listener) = admin_listener {
        let admin = Admin { readiness, liveness, registry };
        tasks.spawn("admin", daemon::admin::serve(listener, admin, tasks.stop()));
    }
    opening.done();
    started(Started { read_addr, admin_addr, ldb_dir });
    tasks.run(DRAIN).await
}

async fn listen(addr: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    match addr {
        Some(addr) => Ok(Some(bind(addr).await?)),
        None => Ok(None),
    }
}
