//! An agent with nothing to do: how much memory it holds, and how much of a core it takes.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::fixture;
use crate::process::Agent;
use crate::runner::{self, Budget, Contender, Scenario};

const MEMORY: &str = "agent, resident MiB";
const CPU: &str = "agent, % of a core";

/// The ledger that the agent has applied before it idles.
const ENTRIES: u64 = 2_000;
/// The agent's default.
const POLL: &str = "1s";
/// Clock ticks in a second, in `/proc/PID/stat`: 100 on every Linux that Kubernetes runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Runs the scenario; true when its budgets were kept.
pub(crate) fn run(args: &Args, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let ledger = folder.path().join("ctldb.sqlite");
    Runtime::new()?.block_on(fixture::mixed_ledger(&ledger, ENTRIES))?;
    let agent = Agent::start(folder.path(), &ledger, ENTRIES, POLL)?;
    // Catching up is over; what is measured is what stays.
    thread::sleep(Duration::from_secs(2));
    let watched = Duration::from_secs(args.idle_seconds);
    let mut scenario = Scenario {
        name: "idle",
        unit: "see name",
        contenders: vec![
            Contender { name: CPU, run: Box::new(|| cpu_percent(agent.id(), watched)) },
            Contender { name: MEMORY, run: Box::new(|| resident_mib(agent.id())) },
        ],
        budgets: vec![
            Budget::AtMost { limit: 27.0, of: MEMORY },
            Budget::AtMost { limit: 1.0, of: CPU },
        ],
    };
    runner::run(&mut scenario, args.rounds, out, json)
}

pub(crate) fn resident_mib(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kib) / 1024.0)
}

fn cpu_percent(process: u32, watched: Duration) -> Result<f64> {
    let before = cpu_seconds(process)?;
    thread::sleep(watched);
    Ok((cpu_seconds(process)? - before) / watched.as_secs_f64() * 100.0)
}

/// User and system time of the process: fields 14 and 15 of `/proc/PID/stat`, see proc(5).
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
    let mut times = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
    let mut time = || times.next().context("too few fields")?.context("not a number");
    Ok(f64::from(time()? + time()?) / TICKS_PER_SECOND)
}
