//! The sidecar on one screen: open the LDB, listen, serve.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use daemon::admin::{self, Admin, Liveness};
use daemon::net::bind;
use daemon::ready::{Lag, Readiness};
use daemon::tasks::Tasks;
use prometheus_client::registry::Registry;
use reader::{Ldb, layout};
use tokio_util::sync::CancellationToken;

use crate::args::SidecarArgs;
use crate::read_api::{Feed, Node, Places, ReadMetrics, ReadServer, Source};

/// For answers on their way.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the sidecar really listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The read API.
    pub addr: Option<SocketAddr>,
    /// Health and metrics.
    pub admin_addr: Option<SocketAddr>,
}

/// Runs the sidecar until `stop` is cancelled.
///
/// # Errors
/// There is no LDB, an address cannot be listened on, or a task fails.
pub async fn run(
    args: SidecarArgs,
    stop: CancellationToken,
    started: impl FnOnce(Started) + Send,
) -> anyhow::Result<()> {
    let SidecarArgs { ldb: dir, bind: addr, socket, admin_bind, serve } = args;
    let agents = dir.join(layout::SOCKET);
    let opened = tokio::task::spawn_blocking(move || Ldb::open(dir)).await?;
    let ldb = opened.context("open the LDB")?;
    let (metrics, mut registry) = (ReadMetrics::default(), Registry::default());
    metrics.register(&mut registry);
    let mut tasks = Tasks::new(stop);
    let feed = Feed::Socket(agents);
    let aging = ldb.clone();
    let source = Source { ldb, node: Node::Sidecar, feed, metrics, stop: tasks.stop() };
    let places = Places { tcp: Some(addr), socket };
    let server = ReadServer::open(places, &serve, source).await?;
    let admin_listener = match admin_bind {
        Some(addr) => Some(bind(addr).await?),
        None => None,
    };
    let admin_addr = admin_listener.as_ref().map(|listener| listener.local_addr()).transpose()?;
    let addr = server.addr();
    tasks.spawn("read api", server.run(tasks.stop()));
    if let Some(listener) = admin_listener {
        let (readiness, liveness) = (Readiness::new(), Liveness::new());
        readiness.set_lag(move || aging.latency().ok().flatten().map_or(Lag::Unknown, Lag::Of));
        let admin = Admin { readiness, liveness, registry };
        tasks.spawn("admin", admin::serve(listener, admin, tasks.stop()));
    }
    started(Started { addr, admin_addr });
    tasks.run(DRAIN).await
}
