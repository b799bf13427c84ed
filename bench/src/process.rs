//! The released agent as a process of its own, as on a node.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reader::Ldb;

/// The agent. Dropping it ends it.
pub(crate) struct Agent {
    child: Child,
    ldb_dir: PathBuf,
    log: PathBuf,
}

impl Agent {
    /// Starts it, and waits until it has applied so many entries.
    pub(crate) fn start(folder: &Path, ledger: &Path, entries: u64, poll: &str) -> Result<Self> {
        Self::start_with(folder, ledger, entries, &["--poll-interval".as_ref(), poll.as_ref()])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(
        folder: &Path,
        ledger: &Path,
        entries: u64,
        args: &[&OsStr],
    ) -> Result<Self> {
        let url_file = folder.join("ctldb-url");
        fs::write(&url_file, format!("sqlite:{}", ledger.display()))?;
        let (ldb_dir, log) = (folder.join("ldb"), folder.join("agent.log"));
        let child = Command::new(binary()?)
            .args(["--log-format", "json", "agent"])
            .args(["--read-bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0"])
            .arg("--ldb-dir")
            .arg(&ldb_dir)
            .args(args)
            .arg("--ctldb-url-file")
            .arg(&url_file)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("start ctlstore agent")?;
        let agent = Self { child, ldb_dir, log };
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

    /// Its LDB's directory.
    pub(crate) fn ldb_dir(&self) -> &Path {
        &self.ldb_dir
    }

    /// Where it serves reads.
    pub(crate) fn addr(&self) -> Result<SocketAddr> {
        let log = fs::read_to_string(&self.log)?;
        log.lines().find_map(serving).context("the agent did not say where it listens")?
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Where a process serves reads, if this line of its log tells it.
fn serving(line: &str) -> Option<Result<SocketAddr>> {
    let (_, rest) = line.split_once("\"read\":\"")?;
    let addr = rest.split('"').next().unwrap_or_default();
    Some(addr.parse().with_context(|| format!("{addr:?} is no address")))
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The operator. Dropping it ends it.
pub(crate) struct Operator {
    child: Child,
}

impl Operator {
    /// Starts it with these arguments.
    pub(crate) fn spawn(args: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn().context("start ctlstore operator")? })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sidecar over the LDB of an agent. Dropping it ends it.
pub(crate) struct Sidecar {
    child: Child,
    addr: SocketAddr,
}

impl Sidecar {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(ldb_dir: &Path) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["--log-format", "json", "sidecar", "--bind", "127.0.0.1:0", "--ldb"]);
        command.arg(ldb_dir).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start ctlstore sidecar")?;
        let lines = child.stderr.take().map(BufReader::new).context("no stderr")?.lines();
        let mut sidecar = Self { child, addr: ([127, 0, 0, 1], 0).into() };
        for line in lines {
            let line = line?;
            if let Some(addr) = serving(&line) {
                sidecar.addr = addr?;
                return Ok(sidecar);
            }
        }
        bail!("the sidecar ended before it said where it listens")
    }

    /// Where it serves.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ctlstore` beside this program, which the same build made.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("ctlstore");
    if !path.exists() {
        bail!("{} is missing, build it: cargo build --release --bin ctlstore", path.display());
    }
    Ok(path)
}
