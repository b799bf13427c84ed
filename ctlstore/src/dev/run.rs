//! Embedded mode in one screen: the services, wired to each other on this machine.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::args::SnapshotArgs;
use anyhow::{Context, Result, ensure};
use ctldb::CtlDb;
use daemon::tasks::Tasks;
use ledger::CtlDbUrl;
use operator::Manifests;
use store::Location;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::dev::{Config, Places, Said};

/// Who waits for the ledger is on the same machine, so looking often costs next to nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Where snapshots are kept, in the folder of all the rest.
const SNAPSHOTS: &str = "snapshots";
/// Ctrl-C stops within 2 s; this leaves time to say so.
const DRAIN: Duration = Duration::from_millis(1500);

/// Runs all services until `stop`.
pub(crate) async fn run(
    config: &Config,
    stop: CancellationToken,
    said: mpsc::Sender<Said>,
) -> Result<()> {
    let manifests = &config.manifests;
    ensure!(
        manifests.exists(),
        "no file or folder {}: name the YAML of your CtlFamily and CtlTable resources with --manifests",
        manifests.display()
    );
    let snapshots = config.dir.join(SNAPSHOTS);
    fs::create_dir_all(&snapshots)
        .with_context(|| format!("cannot make the folder {}", snapshots.display()))?;
    let mut tasks = Tasks::new(stop);
    let ctldb = config.dir.join("ctldb.sqlite");
    let opened = CtlDb::open(CtlDbUrl::Sqlite(ctldb.clone()))?;
    // At the first start, so that the agent finds one.
    opened.migrate().await.with_context(|| format!("cannot use {}", ctldb.display()))?;
    start((config, ctldb), &mut tasks, said).await;
    tasks.run(DRAIN).await
}

/// Starts the services one after the other: who has no right to the folder fails at the agent's lock, and who finds a
/// port taken is told so, before any table is changed. None: a task ended already, and `Tasks::run` says why.
async fn start(
    (config, ctldb): (&Config, PathBuf),
    tasks: &mut Tasks,
    said: mpsc::Sender<Said>,
) -> Option<()> {
    let stop = tasks.stop();
    let (ldb, url) = (config.dir.join("ldb"), CtlDbUrl::Sqlite(ctldb.clone()));

    let mut agent = agent::Config::new(ldb.clone(), url.clone());
    agent.snapshot = SnapshotArgs::always(Location::File(config.dir.join(SNAPSHOTS)));
    (agent.read_bind, agent.poll_interval) = (Some(config.read_bind), POLL_INTERVAL);
    let (up, started) = oneshot::channel();
    tasks.spawn("agent", agent::run::run(agent, stop.clone(), send(up)));
    let read = started.await.ok()?.read_addr.expect("BUG: dev mode asked for a read API");

    let executive = executive::Config::open(config.executive_bind, url.clone());
    let (up, started) = oneshot::channel();
    tasks.spawn("executive", executive::run(executive, stop.clone(), send(up)));
    let executive = started.await.ok()?.addr;

    // Before the operator's own words. Nobody listens once the printing has failed, and that stops us.
    let places = Places { executive, read, ldb, ctldb };
    let _ = said.send(Said::Started(places)).await;

    // The operator must not wait for a terminal; whoever does not read loses lines, not statuses.
    let notices = Arc::new(move |notice| drop(said.try_send(Said::Notice(notice))));
    let manifests = Manifests { path: config.manifests.clone(), notices };
    let operator = operator::Config {
        allow_drop: config.allow_drop,
        heartbeat: config.heartbeat,
        ..operator::Config::dev(url, manifests)
    };
    tasks.spawn("operator", operator::run(operator, stop, |_started| ()));
    Some(())
}

fn send<T>(up: oneshot::Sender<T>) -> impl FnOnce(T) {
    // Whoever waited may be gone already, then nobody is left to tell.
    move |started| drop(up.send(started))
}
