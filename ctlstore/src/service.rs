//! Starts one service as this process: flags, signals, and the line that says where it listens.

use anyhow::Result;
use tokio::runtime::Builder;
use tracing::info;

use crate::outcome::Outcome;

/// `ctlstore operator`
pub(crate) fn operator(args: operator::Args) -> Result<Outcome> {
    let config = args.config()?;
    run(2, async {
        let stop = daemon::signal::stop_on_signal()?;
        operator::run(
            config,
            stop,
            |started| info!(admin = ?started.admin_addr, "operator started"),
        )
        .await
    })
}

/// `ctlstore executive`
pub(crate) fn executive(args: executive::Args) -> Result<Outcome> {
    let config = args.config()?;
    run(2, async {
        let stop = daemon::signal::stop_on_signal()?;
        let told = |started: executive::Started| {
            info!(listening = %started.addr, admin = ?started.admin_addr, "executive started");
        };
        executive::run(config, stop, told).await
    })
}

/// `ctlstore agent`
pub(crate) fn agent(args: agent::args::Args) -> Result<Outcome> {
    let config = args.config()?;
    run(1, async {
        let stop = daemon::signal::stop_on_signal()?;
        let told = |started: agent::Started| {
            let ldb = started.ldb_dir.display();
            info!(%ldb, read = ?started.read_addr, admin = ?started.admin_addr, "agent started");
        };
        agent::run::run(config, stop, told).await
    })
}

fn run(threads: usize, service: impl Future<Output = Result<()>>) -> Result<Outcome> {
    // Few threads: none of the services computes, they wait. SQLite works on threads of its own.
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(service)?;
    Ok(Outcome::Done)
}
