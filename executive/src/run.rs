//! The executive in one screen: its parts, and the tasks that they run in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ctldb::{CtlDb, Options};
use daemon::admin::{self, Admin, Liveness};
use daemon::net;
use daemon::ready::Readiness;
use daemon::serve::{InFlight, Server, Tls, serve};
use daemon::tasks::Tasks;
use daemon::tokens::Tokens;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Parts};
use crate::args::{AdminAccess, Config};
use crate::auth::Admins;
use crate::catalog::Catalog;
use crate::files::{self, Watched};
use crate::fleet::{self, Fleet};
use crate::health;
use crate::hold::Hold;
use crate::metrics::{Connections, Metrics};
use crate::openapi;
use crate::operations::operations;
use crate::routes::routes;
use crate::sizes;
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
/// It cannot listen, a file cannot be used, or a task failed.
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
    let tls = config.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
    let readiness = Readiness::new();
    let gate = readiness.gate("ctldb");
    let operations = operations();
    let (app, registry) = app(&config, readiness.clone(), openapi::document(&operations))?;
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
    let server = Server { listener: listener.into(), tls: tls.clone(), limits: config.connections };
    tasks.spawn("http", serve(server, routes(&app, operations), stop.clone(), idle));
    tasks.spawn("ctldb", health::watch(app.clone(), gate, stop.clone()));
    if let Some(fleet) = Fleet::new(config.fleet_position_file, config.snapshots.as_ref()) {
        let watched = (fleet, readiness.gate("fleet"));
        tasks.spawn("fleet", fleet::watch(app.clone(), watched, stop.clone()));
    }
    tasks.spawn("sizes", sizes::watch(app.clone(), stop.clone()));
    let watched = Watched {
        url_file: config.ctldb_url_file,
        url: config.ctldb,
        tls,
        pause: config.reload_interval,
    };
    tasks.spawn("files", files::watch(app, watched, stop.clone()));
    if let Some(listener) = admin_listener {
        let admin = Admin { readiness, liveness: Liveness::new(), registry };
        tasks.spawn("admin", admin::serve(listener, admin, stop));
    }
    tasks.run(config.handler_timeout + DRAIN).await
}

fn app(config: &Config, readiness: Readiness, openapi: String) -> anyhow::Result<(App, Registry)> {
    let (metrics, mut registry) = Metrics::new();
    let admins = admins(&config.admin)?;
    metrics.open_admin.set(matches!(admins, Admins::Open).into());
    let (limits, lock_waits) = (Some(config.limits), metrics.lock_waits());
    let options = Options { limits, lock_waits, ..Options::default() };
    let db = CtlDb::open_with(config.ctldb.clone(), options).context("open ctldb")?;
    registry.register_collector(Box::new(Connections(db.clone())));
    let app = App::new(Parts {
        db,
        admins,
        catalog: Catalog::default(),
        known: Known::default(),
        metrics,
        readiness,
        flight: TaskTracker::new(),
        places: InFlight::new(config.max_in_flight),
        timeout: config.handler_timeout,
        limits: config.limits,
        destructive: config.allow_destructive,
        hold: Hold::new(config.fleet_position_file.is_some() || config.snapshots.is_some()),
        openapi,
    });
    Ok((app, registry))
}

fn admins(access: &AdminAccess) -> anyhow::Result<Admins> {
    Ok(match access {
        AdminAccess::TokenFile(file) => Admins::Tokens(Tokens::load(file)?),
        AdminAccess::Closed => {
            tracing::info!("admin routes are closed; open them with --admin-token-file");
            Admins::Closed
        }
        AdminAccess::Open => {
            tracing::warn!(
                "admin routes are open to everyone (--open-admin); use --admin-token-file where others reach this port"
            );
            Admins::Open
        }
    })
}
