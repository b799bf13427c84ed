//! Embedded mode: ctldb in a SQLite file, the operator over a folder of manifests, executive and agent, in one process.
//! It is the code of the services, wired to each other on this machine.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use daemon::tasks::Tasks;
use ledger::CtlDbUrl;
use operator::{Manifests, Notice};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::args::Dev;
use crate::outcome::Outcome;

/// Who waits for the ledger is on the same machine, so looking often costs next to nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Ctrl-C stops within 2 s; this leaves time to say so.
const DRAIN: Duration = Duration::from_millis(1500);

/// Lines that may wait to be printed.
const NOTICES: usize = 1024;

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

/// `ctlstore dev`: prints where everything is, then each status as it changes, until Ctrl-C.
pub(crate) fn dev(args: &Dev, out: &mut dyn Write) -> Result<Outcome> {
    let config = Config {
        dir: args.dir.clone(),
        manifests: args.manifests.clone(),
        executive_bind: args.executive_bind,
        read_bind: args.read_bind,
        allow_drop: args.allow_drop,
    };
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(async {
        let stop = daemon::signal::stop_on_signal()?;
        let (said, mut lines) = mpsc::channel(NOTICES);
        let services = run(&config, stop, said);
        let mut services = std::pin::pin!(services);
        loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => print(&line, &config, out)?,
                ended = &mut services => return ended,
            }
        }
    });
    // Threads that wait for SQLite cannot be ended from outside; they hold nothing that a restart would miss.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended.map(|()| Outcome::Done)
}

/// What embedded mode tells while it runs.
#[derive(Debug)]
pub(crate) enum Said {
    /// Everything listens.
    Started(Places),
    /// A resource changed its state, or a manifest cannot be read; in the operator's own words.
    Notice(Notice),
}

/// Runs all services until `stop`.
pub(crate) async fn run(
    config: &Config,
    stop: CancellationToken,
    said: mpsc::Sender<Said>,
) -> Result<()> {
    fs::create_dir_all(&config.dir)
        .with_context(|| format!("make the folder {}", config.dir.display()))?;
    let ctldb = config.dir.join("ctldb.sqlite");
    let ldb = config.dir.join("ldb");
    let url = CtlDbUrl::Sqlite(ctldb.clone());
    let mut tasks = Tasks::new(stop.clone());

    let executive = executive::Config::open(config.executive_bind, url.clone());
    let (executive_up, executive_started) = oneshot::channel();
    tasks.spawn("executive", executive::run(executive, stop.clone(), tell(executive_up)));

    let agent = agent::Config {
        ldb_dir: ldb.clone(),
        ctldb: url.clone(),
        ctldb_url_file: None,
        read_bind: Some(config.read_bind),
        admin_bind: None,
        poll_interval: POLL_INTERVAL,
    };
    let (agent_up, agent_started) = oneshot::channel();
    tasks.spawn("agent", agent::run::run(agent, stop.clone(), tell(agent_up)));

    let (notices, mut noticed) = mpsc::channel(NOTICES);
    // The operator must not wait for a terminal; whoever does not read loses lines, not statuses.
    let notices = Arc::new(move |notice| drop(notices.try_send(notice)));
    let manifests = Manifests { path: config.manifests.clone(), notices };
    let operator =
        operator::Config { allow_drop: config.allow_drop, ..operator::Config::dev(url, manifests) };
    tasks.spawn("operator", operator::run(operator, stop, |_started| ()));

    let tell = async move {
        if let (Ok(executive), Ok(agent)) = (executive_started.await, agent_started.await) {
            let read = agent.read_addr.expect("BUG: dev mode asked for a read API");
            let _ = said
                .send(Said::Started(Places { executive: executive.addr, read, ldb, ctldb }))
                .await;
        }
        while let Some(notice) = noticed.recv().await {
            let _ = said.send(Said::Notice(notice)).await;
        }
    };
    let (ended, ()) = tokio::join!(tasks.run(DRAIN), tell);
    ended
}

fn tell<T>(up: oneshot::Sender<T>) -> impl FnOnce(T) {
    // Whoever waited may be gone already, then nobody is left to tell.
    move |started| drop(up.send(started))
}

fn print(said: &Said, config: &Config, out: &mut dyn Write) -> std::io::Result<()> {
    match said {
        Said::Notice(notice) => writeln!(out, "{notice}")?,
        Said::Started(places) => block(places, &config.manifests, out)?,
    }
    out.flush()
}

fn block(places: &Places, manifests: &Path, out: &mut dyn Write) -> std::io::Result<()> {
    let Places { executive, read, ldb, ctldb } = places;
    let (ldb, ctldb, manifests) = (ldb.display(), ctldb.display(), manifests.display());
    writeln!(
        out,
        "ctlstore is running on this machine, for trying out: anyone who reaches its ports may write.

  write API    http://{executive}
  read API     http://{read}
  LDB          {ldb}   (any SQLite program: {ldb}/ldb.db, read-only)
  ctldb        {ctldb}
  manifests    {manifests}   (read again when they change)

Try, in another terminal:

  curl --data-binary a-secret http://{executive}/writers/me
  curl -H ctlstore-writer:me -H ctlstore-secret:a-secret --data @{manifests}/batches/rows.json http://{executive}/families/FAMILY/mutations
  ctlstore status --ldb {ldb}
  ctlstore scan FAMILY TABLE --ldb {ldb}

Ctrl-C stops it. What happens to the resources, as it happens:
"
    )
}
