//! Starts one service as this process: flags, signals, and the line that says where it listens.

use std::io::Write;

use anyhow::Result;
use tokio::runtime::Builder;
use tracing::field::display;
use tracing::info;

use crate::args::{Agent, AgentCommand};
use crate::outcome::Outcome;
use crate::rebuild::rebuild;

/// For threads that are in the middle of something when all tasks have ended.
const SHUTDOWN: std::time::Duration = std::time::Duration::from_secs(1);

/// `ctlstore operator`
pub(crate) fn operator(args: operator::Args) -> Result<Outcome> {
    let config = args.config()?;
    run(2, async {
        let stop = daemon::signal::stop_on_signal()?;
        let told = |started: operator::Started| {
            info!(admin = started.admin_addr.map(display), "operator started");
        };
        operator::run(config, stop, told).await
    })
}

/// `ctlstore executive`
pub(crate) fn executive(args: executive::Args) -> Result<Outcome> {
    let config = args.config()?;
    run(2, async {
        let stop = daemon::signal::stop_on_signal()?;
        let told = |started: executive::Started| {
            let admin = started.admin_addr.map(display);
            info!(api = %started.addr, admin, "executive started");
        };
        executive::run(config, stop, told).await
    })
}

/// `ctlstore agent`
pub(crate) fn agent(args: Agent, out: &mut dyn Write) -> Result<Outcome> {
    let args = match (args.command, args.run.0) {
        (Some(AgentCommand::Rebuild(args)), _) => return rebuild(&args, out),
        (None, Some(args)) => args,
        (None, None) => return Ok(Outcome::Usage),
    };
    let config = args.config()?;
    run(1, async {
        let stop = daemon::signal::stop_on_signal()?;
        let told = |started: agent::Started| {
            let ldb = started.ldb_dir.display();
            let (read, admin) = (started.read_addr.map(display), started.admin_addr.map(display));
            info!(%ldb, read, admin, "agent started");
        };
        agent::run::run(config, stop, told).await
    })
}

/// `ctlstore snapshotter`
pub(crate) fn snapshotter(args: agent::args::SnapshotterArgs) -> Result<Outcome> {
    let config = args.config()?;
    run(1, async {
        let stop = daemon::signal::stop_on_signal()?;
        let told = |started: agent::Started| {
            let (ldb, admin) = (started.ldb_dir.display(), started.admin_addr.map(display));
            info!(%ldb, admin, "snapshotter started");
        };
        agent::run::run(config, stop, told).await
    })
}

/// `ctlstore sidecar`
pub(crate) fn sidecar(args: agent::args::SidecarArgs) -> Result<Outcome> {
    let ldb = args.ldb.clone();
    // It only waits: reads have threads of their own.
    run(1, async {
        let stop = daemon::signal::stop_on_signal()?;
        let told = |started: agent::sidecar::Started| {
            let (read, admin) = (started.addr.map(display), started.admin_addr.map(display));
            info!(ldb = %ldb.display(), read, admin, "sidecar started");
        };
        agent::sidecar::run(args, stop, told).await
    })
}

fn run(threads: usize, service: impl Future<Output = Result<()>>) -> Result<Outcome> {
    // Few threads: none of the services computes, they wait. SQLite works on threads of its own.
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let ended = runtime.block_on(service);
    // A thread that waits for SQLite or for a name server cannot be ended from outside, and must not hold up the end.
    runtime.shutdown_timeout(SHUTDOWN);
    ended.map(|()| Outcome::Done)
}
