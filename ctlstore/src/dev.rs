//! Embedded mode: ctldb in a SQLite file, the operator over a folder of manifests, executive and agent, in one process.
//! It is the code of the services; here is what is said about them.

mod run;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use operator::Notice;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::args::Dev;
pub(crate) use crate::dev::run::run;
use crate::greeting;
use crate::outcome::Outcome;

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
    /// Time between two heartbeats; none are written at zero.
    pub(crate) heartbeat: Duration,
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
    let Dev { dir, manifests, executive_bind, read_bind, heartbeat_interval, allow_drop } = args;
    let heartbeat = heartbeat_interval;
    let config = Config { dir, manifests, executive_bind, read_bind, heartbeat, allow_drop };
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
