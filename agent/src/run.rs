//! Puts the agent together: open the LDB, listen, start the tasks. The whole process on one screen; a group of tasks that
//! belong together is a function below it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use daemon::admin::{Admin, Liveness};
use daemon::net::bind;
use daemon::ready::{Lag, Readiness};
use daemon::tasks::Tasks;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::args::{PresenceArgs, SnapshotArgs};
use crate::bootstrap::ready::Serving;
use crate::bootstrap::share::{Jitter, Share};
use crate::bootstrap::told::Teller;
use crate::bootstrap::{Bootstrap, Snapshots, Wanted};
use crate::changes::Changes;
use crate::control::{self, Control};
use crate::ldb::{Heartbeat, Writer};
use crate::metrics::Metrics;
use crate::presence::{Cluster, Presence};
use crate::read_api::{Feed, Node, Places, ReadMetrics, ReadServer, Source};
use crate::replay::{Beginning, Links, Needs, Replay, Requests, Told, bar};
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

/// Runs the agent until `stop` is cancelled. It is ready as soon as it serves: at once with an LDB that it had, whether
/// ctldb is there or not.
///
/// # Errors
/// The LDB cannot be opened, an address cannot be listened on, or a task fails.
pub async fn run(
    config: Config,
    stop: CancellationToken,
    started: impl FnOnce(Started) + Send,
) -> anyhow::Result<()> {
    let mut agent = Agent::new(stop, &config);
    let opening = agent.readiness.handle("start");
    let (writer, heartbeat, ldb) = open(&config, &agent.changes).await?;
    let reads = agent.serve_reads(ldb, &config).await?;
    let read_addr = reads.addr();
    let (admin_addr, admin) = listen(config.admin_bind).await?;
    let cluster = Cluster::of(&config.presence).await;

    agent.tasks.spawn("heartbeat", heartbeat.run(agent.tasks.stop()));
    let presence = agent.be_present(&config.presence, cluster.clone());
    let requests = agent.follow(writer, &config, presence.as_ref())?;
    agent.upload(&config.snapshot, requests, cluster)?;
    agent.tasks.spawn("read api", reads.run(agent.tasks.stop()));
    if bar::is_seen() {
        agent.tasks.spawn("progress bar", bar::run(agent.status.clone(), agent.tasks.stop()));
    }
    let Agent { dir: ldb_dir, readiness, liveness, registry, mut tasks, .. } = agent;
    if let Some(listener) = admin {
        let admin = Admin { readiness, liveness, registry };
        tasks.spawn("admin", daemon::admin::serve(listener, admin, tasks.stop()));
    }
    opening.done();
    started(Started { read_addr, admin_addr, ldb_dir });
    tasks.run(DRAIN).await
}

/// What all tasks share.
struct Agent {
    dir: PathBuf,
    status: Status,
    readiness: Readiness,
    liveness: Liveness,
    registry: Registry,
    tasks: Tasks,
    /// What replay tells of, for those who follow.
    changes: Changes,
}

impl Agent {
    fn new(stop: CancellationToken, config: &Config) -> Self {
        let dir = config.ldb_dir.clone();
        let (status, readiness) = (Status::new(), Readiness::new());
        let aging = status.clone();
        readiness.set_lag(move || aging.report().lag().map_or(Lag::Unknown, Lag::Of));
        let changes = Changes::new(&config.changes, &status);
        let (liveness, tasks) = (Liveness::new(), Tasks::new(stop));
        let mut registry = Registry::default();
        changes.register(&mut registry);
        Self { dir, status, readiness, liveness, registry, tasks, changes }
    }

    /// Replay, which has the LDB's writer, and the bootstrap, which gives it another file when it needs one.
    fn follow(
        &mut self,
        writer: Writer,
        config: &Config,
        presence: Option<&Presence>,
    ) -> anyhow::Result<Requests> {
        let metrics = Metrics::default();
        metrics.register(&mut self.registry, self.status.clone());
        let serving = Serving::new(&self.readiness, writer.serves());
        let (requests, asked) = Requests::new(writer.drafts());
        let (needs, needed) = Needs::new();
        let (demand, demands) = mpsc::channel(1);

        let snapshots = Snapshots::new(config, &self.dir);
        let beginning = if snapshots.are_none() { Beginning::Free } else { Beginning::OnLeave };
        let teller = Teller::new(self.status.clone(), serving.clone());
        let wanted = Wanted { needs: needed, demands };
        let share = share(config, presence);
        let bootstrap = Bootstrap::new(requests.clone(), wanted, snapshots, share, teller);
        self.tasks.spawn("bootstrap", bootstrap.run(self.tasks.stop()));
        let control = Control { demand, status: self.status.clone() };
        let socket = control::listen(&self.dir);
        self.tasks.spawn("control", control.serve(socket, self.tasks.stop()));

        // A look and a write together stay far below it.
        let pulse =
            self.liveness.watch("replay", config.poll_interval * 2 + Duration::from_secs(120));
        let upstream = Upstream::new(config.ctldb.clone(), config.ctldb_url_file.clone());
        let told = Told::new(self.status.clone(), metrics, serving);
        let links = Links { asked, needs, beginning };
        let replay = Replay::new(upstream, told, links, config.poll_interval, pulse);
        self.tasks.spawn("replay", replay.run(writer, self.tasks.stop()));
        Ok(requests)
    }

    /// The read API, on a port and on a socket.
    async fn serve_reads(
        &mut self,
        ldb: reader::Ldb,
        config: &Config,
    ) -> anyhow::Result<ReadServer> {
        let metrics = ReadMetrics::default();
        metrics.register(&mut self.registry);
        let (node, feed) = (Node::Agent(self.status.clone()), Feed::Hub(self.changes.hub()));
        let source = Source { ldb, node, feed, metrics, stop: self.tasks.stop() };
        let socket = config.read.read_socket.then(|| self.dir.join(reader::layout::SOCKET));
        let places = Places { tcp: config.read_bind, socket };
        Ok(ReadServer::open(places, &config.read.serve, source).await?)
    }

    /// What Kubernetes is told of the node, where there is one.
    fn be_present(&mut self, args: &PresenceArgs, cluster: Option<Cluster>) -> Option<Presence> {
        let told = (self.status.clone(), self.dir.clone());
        let cluster = cluster.filter(|_| args.presence)?;
        let presence = Presence::of(cluster, args.presence_interval, told);
        self.tasks.spawn("presence", presence.clone().run(self.tasks.stop()));
        Some(presence)
    }

    /// Snapshots, if this process takes them.
    fn upload(
        &mut self,
        args: &SnapshotArgs,
        requests: Requests,
        cluster: Option<Cluster>,
    ) -> anyhow::Result<()> {
        let (ldb_dir, status) = (self.dir.clone(), self.status.clone());
        let around = Surroundings { ldb_dir, requests, status, cluster };
        let made = Supervisor::make(args, around, &mut self.registry)?;
        if let Some((supervisor, election)) = made {
            if let Some(election) = election {
                self.tasks.spawn("snapshot election", election.run(self.tasks.stop()));
            }
            self.tasks.spawn("snapshots", supervisor.run(self.tasks.stop()));
        }
        Ok(())
    }
}

/// Who says when this node may load another LDB while others want that, too.
fn share(config: &Config, presence: Option<&Presence>) -> Arc<dyn Share> {
    let percent = config.bootstrap.rebuild_share;
    let alone = Jitter::new(percent);
    match presence {
        Some(presence) => Arc::new(presence.share(percent, alone)),
        None => Arc::new(alone),
    }
}

async fn open(
    config: &Config,
    changes: &Changes,
) -> anyhow::Result<(Writer, Heartbeat, reader::Ldb)> {
    let (dir, limits, recorder) = (config.ldb_dir.clone(), config.ldb.clone(), changes.recorder());
    let open = move || -> Result<_, anyhow::Error> {
        let mut writer = Writer::open(&dir, limits)?;
        writer.tell_changes(recorder);
        // After the writer, whose shared memory the readers of this process then share.
        Ok((writer, Heartbeat::open(&dir)?, reader::Ldb::open(&dir)?))
    };
    tokio::task::spawn_blocking(open).await?.context("open the LDB")
}

async fn listen(
    addr: Option<SocketAddr>,
) -> anyhow::Result<(Option<SocketAddr>, Option<TcpListener>)> {
    let Some(addr) = addr else { return Ok((None, None)) };
    let listener = bind(addr).await?;
    Ok((Some(listener.local_addr()?), Some(listener)))
}
