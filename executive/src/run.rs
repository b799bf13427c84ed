//! The executive in one screen: its parts, and the tasks that they run in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ctldb::CtlDb;
use daemon::admin::{self, Admin, Liveness};
use daemon::net;
use daemon::ready::Readiness;
use daemon::tasks::Tasks;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Parts};
use crate::args::{AdminAccess, Config};
use crate::auth::Admins;
use crate::catalog::Catalog;
use crate::files::{self, Watched};
use crate::health;
use crate::metrics::Metrics;
use crate::routes::routes;
use crate::serve::serve;
use crate::writers::Known;

/// Beyond the time of one request, to end what is in hand.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the executive listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The API.
    pub addr: SocketAddr,
    /// `/livez`, `/readyz` and `/metrics`.
    pub admin_addr: Option<SocketAddr>,
}

/// Runs the executive until `stop`. It serves, and says that it is not ready, also while ctldb is away.
///
/// # Errors
/// It cannot listen, a token file cannot be used, or a task failed.
pub async fn run(
    config: Config,
    stop: CancellationToken,
    started: impl FnOnce(Started) + Send,
) -> anyhow::Result<()> {
    let listener = net::bind(config.bind).await?;
    let admin_listener = match config.admin_bind {
        Some(addr) => Some(net::bind(addr).await?),
        None => None,
    };
    let (admins, token_file) = admins(&config.admin)?;
    let (metrics, registry) = Metrics::new();
    let readiness = Readiness::new();
    let gate = readiness.gate("ctldb");
    let app = App::new(Parts {
        db: CtlDb::open(config.ctldb.clone()).context("open ctldb")?,
        admins,
        catalog: Catalog::default(),
        known: Known::default(),
        metrics,
        readiness: readiness.clone(),
        flight: TaskTracker::new(),
        slots: Arc::new(Semaphore::new(config.max_in_flight)),
        timeout: config.handler_timeout,
    });
    app.metrics.open_admin.set(matches!(app.admins, Admins::Open).into());
    started(Started {
        addr: listener.local_addr().context("own address")?,
        admin_addr: admin_listener.as_ref().map(|l| l.local_addr()).transpose()?,
    });

    let mut tasks = Tasks::new(stop.clone());
    let flight = app.flight.clone();
    let idle = async move {
        flight.close();
        flight.wait().await;
    };
    tasks.spawn("http", serve(listener, routes(&app), config.max_connections, stop.clone(), idle));
    tasks.spawn("ctldb", health::watch(app.clone(), gate, stop.clone()));
    let watched = Watched {
        url_file: config.ctldb_url_file,
        url: config.ctldb,
        token_file,
        pause: config.reload_interval,
    };
    tasks.spawn("files", files::watch(app, watched, stop.clone()));
    if let Some(listener) = admin_listener {
        let admin = Admin { readiness, liveness: Liveness::new(), registry };
        tasks.spawn("admin", admin::serve(listener, admin, stop));
    }
    tasks.run(config.handler_timeout + DRAIN).await
}

fn admins(access: &AdminAccess) -> anyhow::Result<(Admins, Option<std::path::PathBuf>)> {
    Ok(match access {
        AdminAccess::TokenFile(file) => (Admins::tokens(files::tokens(file)?), Some(file.clone())),
        AdminAccess::Closed => {
            tracing::info!("admin routes are closed; open them with --admin-token-file");
            (Admins::Closed, None)
        }
        AdminAccess::Open => {
            tracing::warn!(
                "admin routes are open to everyone (--open-admin); use --admin-token-file where others reach this port"
            );
            (Admins::Open, None)
        }
    })
}
