//! An agent with nothing to do: how much memory it holds, and how much of a core it takes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reader::Ldb;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::fixture;
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
            Contender { name: CPU, run: Box::new(|| agent.cpu_percent(watched)) },
            Contender { name: MEMORY, run: Box::new(|| agent.resident_mib()) },
        ],
        budgets: vec![
            Budget::AtMost { limit: 27.0, of: MEMORY },
            Budget::AtMost { limit: 1.0, of: CPU },
        ],
    };
    runner::run(&mut scenario, args.rounds, out, json)
}

/// The agent as a process of its own: the released binary.
pub(crate) struct Agent {
    child: Child,
    ldb_dir: PathBuf,
}

impl Agent {
    /// Starts it, and waits until it has applied so many entries.
    pub(crate) fn start(folder: &Path, ledger: &Path, entries: u64, poll: &str) -> Result<Self> {
        let url_file = folder.join("ctldb-url");
        fs::write(&url_file, format!("sqlite:{}", ledger.display()))?;
        let ldb_dir = folder.join("ldb");
        let child = Command::new(binary()?)
            .arg("agent")
            .args(["--read-bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0"])
            .arg("--ldb-dir")
            .arg(&ldb_dir)
            .args(["--poll-interval", poll])
            .arg("--ctldb-url-file")
            .arg(&url_file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start ctlstore agent")?;
        let agent = Self { child, ldb_dir };
        let deadline = Instant::now() + Duration::from_secs(60);
        while Ldb::open(&agent.ldb_dir)
            .ok()
            .and_then(|ldb| ldb.position().ok().flatten())
            .is_none_or(|at| at.seq.get() < entries)
        {
            if Instant::now() > deadline {
                bail!("the agent did not reach entry {entries} within a minute");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(agent)
    }

    pub(crate) fn ldb_dir(&self) -> &Path {
        &self.ldb_dir
    }

    fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(f64::from(kib) / 1024.0)
    }

    fn cpu_percent(&self, watched: Duration) -> Result<f64> {
        let before = self.ticks()?;
        thread::sleep(watched);
        let ticks = f64::from(self.ticks()? - before);
        Ok(ticks / TICKS_PER_SECOND / watched.as_secs_f64() * 100.0)
    }

    /// User and system time of the process, in ticks: fields 14 and 15 of `/proc/PID/stat`, see proc(5).
    fn ticks(&self) -> Result<u32> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
        let mut times = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
        let mut time = || times.next().context("too few fields")?.context("not a number");
        Ok(time()? + time()?)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ctlstore` beside this program, which the same build made.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("ctlstore");
    if !path.exists() {
        bail!("{} is missing, build it: cargo build --release --workspace --bins", path.display());
    }
    Ok(path)
}
