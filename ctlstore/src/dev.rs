//! Embedded mode: ctldb in a SQLite file, the operator over a folder of manifests, executive and agent, in one process.
//! It is the code of the services, wired to each other on this machine.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ctldb::CtlDb;
use daemon::tasks::Tasks;
use ledger::CtlDbUrl;
use operator::{Manifests, Notice};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::args::Dev;
use crate::greeting;
use crate::outcome::Outcome;

/// Who waits for the ledger is on the same machine, so looking often costs next to nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Ctrl-C stops within 2 s; this leaves time to say so.
const DRAIN: Duration = Duration::from_millis(1500);
/// For threads that wait for SQLite, which cannot be ended from outside; they hold nothing that a restart would miss.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// Lines that may wait to be printed.
const LINES: usize = 1024;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where ctldb and the LDB are kept.
    pub(crate) dir: PathBuf,
    /// The manifests, a file or a folder.
    pub(crate) manifests: PathBuf,
    /// Where the write API listens.
    pub(crate) executive_bind: SocketAddr,
    /// Where the node's read API listens.
    pub(crate) read_bind: SocketAddr,
    /// May tables be dropped?
    pub(crate) allow_drop: bool,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The write API.
    pub(crate) executive: SocketAddr,
    /// The node's read API.
    pub(crate) read: SocketAddr,
    /// The LDB's directory.
    pub(crate) ldb: PathBuf,
    /// ctldb's file.
    pub(crate) ctldb: PathBuf,
}

/// What embedded mode tells while it runs.
#[derive(Debug)]
pub(crate) enum Said {
    /// Executive and agent listen.
    Started(Places),
    /// A resource changed its state, or a manifest cannot be read; in the operator's own words.
    Notice(Notice),
}

/// `ctlstore dev`: prints where everything is, then each status as it changes, until Ctrl-C.
pub(crate) fn dev(args: Dev, out: &mut dyn Write) -> Result<Outcome> {
    let Dev { dir, manifests, executive_bind, read_bind, allow_drop } = args;
    let config = Config { dir, manifests, executive_bind, read_bind, allow_drop };
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(async {
        let stop = daemon::signal::stop_on_signal()?;
        let (said, lines) = mpsc::channel(LINES);
        let over = CancellationToken::new();
        let services = async {
            let _over = over.clone().drop_guard();
            run(&config, stop.clone(), said).await
        };
        let (ended, told) = tokio::join!(services, tell(lines, &config, (&stop, &over), out));
        ended.and(told.map_err(Into::into))
    });
    runtime.shutdown_timeout(SHUTDOWN);
    ended.map(|()| Outcome::Done)
}

/// Prints what is said until all is over. Who cannot print any more stops: nobody is there to see it.
async fn tell(
    mut lines: mpsc::Receiver<Said>,
    config: &Config,
    (stop, over): (&CancellationToken, &CancellationToken),
    out: &mut dyn Write,
) -> io::Result<()> {
    loop {
        let line = tokio::select! {
            biased;
            line = lines.recv() => line,
            () = over.cancelled() => None,
        };
        let Some(line) = line else { return Ok(()) };
        let printed = match line {
            Said::Notice(notice) => writeln!(out, "{notice}"),
            Said::Started(places) => greeting::print(&places, &config.manifests, out),
        };
        if let Err(error) = printed.and_then(|()| out.flush()) {
            stop.cancel();
            return Err(error);
        }
    }
}

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
    fs::create_dir_all(&config.dir)
        .with_context(|| format!("cannot make the folder {}", config.dir.display()))?;
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

    let agent = agent::Config {
        ldb_dir: ldb.clone(),
        ctldb: url.clone(),
        ctldb_url_file: None,
        read_bind: Some(config.read_bind),
        admin_bind: None,
        poll_interval: POLL_INTERVAL,
    };
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
    let operator =
        operator::Config { allow_drop: config.allow_drop, ..operator::Config::dev(url, manifests) };
    tasks.spawn("operator", operator::run(operator, stop, |_started| ()));
    Some(())
}

fn send<T>(up: oneshot::Sender<T>) -> impl FnOnce(T) {
    // Whoever waited may be gone already, then nobody is left to tell.
    move |started| drop(up.send(started))
}
