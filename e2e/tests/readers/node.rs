//! One node: an agent as its own user, and programs of pods, which see its directory through a read-only mount.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::eventually;
use nix::sys::signal::Signal;
use reader::Ldb;
use serde_json::Value;
use tempfile::TempDir;
use testkit::http::Request;
use testkit::program::{Program, ctlstore};

use crate::feed::{FAMILY, Pairs};

/// The agent's user, as in its image.
const AGENT: u32 = 64_000;
/// The readers' user.
const NOBODY: u32 = 65_534;
/// What starts, ends or is caught up within this, on a busy machine, too.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A node. Dropping it ends all that runs on it.
pub(crate) struct Node {
    agent: Option<Program>,
    admin: Option<std::net::SocketAddr>,
    pub(crate) pairs: Pairs,
    home: TempDir,
}

impl Node {
    /// A node without an agent: a ledger in SQLite, and programs that all users may run.
    pub(crate) async fn new() -> Result<Self> {
        ensure!(
            fs::metadata("/proc/self")?.uid() == 0,
            "these tests make mounts and change users: run them as root"
        );
        let home = TempDir::with_prefix("ctlstore-readers-").context("make a folder")?;
        let everybody = fs::Permissions::from_mode(0o755);
        fs::set_permissions(home.path(), everybody).context("open the folder to all users")?;
        for folder in ["ctldb", "ldb", "bin", "mnt", "tools"] {
            fs::create_dir(home.path().join(folder)).context("make a folder")?;
        }
        for folder in ["ctldb", "ldb"] {
            chown(home.path().join(folder), Some(AGENT), Some(AGENT)).context("give the folder")?;
        }
        // The folder of builds may lie in a home that nobody else may enter.
        for (program, name) in
            [(ctlstore()?, "ctlstore"), (PathBuf::from(env!("CARGO_BIN_EXE_ldb-load")), "ldb-load")]
        {
            fs::copy(program, home.path().join("bin").join(name)).context("copy a program")?;
        }
        let ledger = home.path().join("ctldb/ctldb.sqlite");
        fs::write(&ledger, "").context("make the ledger")?;
        // SQLite gives its other files to whom this one belongs.
        chown(&ledger, Some(AGENT), Some(AGENT)).context("give the ledger")?;
        let pairs = Pairs::create(&ledger).await?;
        fs::write(home.path().join("url"), format!("sqlite:{}", ledger.display()))?;
        Ok(Self { agent: None, admin: None, pairs, home })
    }

    /// Starts the agent, with these flags besides its own; one that runs is asked to end first.
    pub(crate) async fn start_agent(&mut self, flags: &[&str]) -> Result<()> {
        self.stop_agent().await?;
        let mut command = Command::new("setpriv");
        let (user, home) = (AGENT.to_string(), self.home.path());
        command.args([
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
            "--pdeathsig",
            "KILL",
            "--",
        ]);
        command.arg(home.join("bin/ctlstore")).arg("agent");
        command.arg("--ldb-dir").arg(self.ldb());
        command.arg("--ctldb-url-file").arg(home.join("url"));
        command.args(["--admin-bind", "127.0.0.1:0"]).args(flags);
        let mut agent = Program::start("ctlstore agent", &command)?;
        let started = agent.line(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "agent started").then(|| line["admin"].as_str()?.parse().ok())
        });
        self.admin = started.await?;
        self.agent = Some(agent);
        Ok(())
    }

    /// Asks the agent to end, and waits for it.
    pub(crate) async fn stop_agent(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.signal(Signal::SIGTERM)?;
            let ended = agent.end(SOON).await?;
            ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        }
        Ok(())
    }

    /// Ends the agent as a power failure would.
    pub(crate) fn kill_agent(&mut self) -> Result<()> {
        self.agent.take().context("no agent runs")?.kill()
    }

    /// The agent's process and all that it has said.
    pub(crate) fn agent(&self) -> Result<&Program> {
        self.agent.as_ref().context("no agent runs")
    }

    /// The agent's metrics.
    pub(crate) fn metrics(&self) -> Result<String> {
        let admin = self.admin.context("the agent does not say where its admin port is")?;
        let answer =
            Request { method: "GET", path: "/metrics", headers: &[], body: b"" }.send(admin)?;
        Ok(answer.text().clone())
    }

    /// The agent's directory.
    pub(crate) fn ldb(&self) -> PathBuf {
        self.home.path().join("ldb")
    }

    /// A file in the node's own folder, which nothing else uses.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where pods see the directory.
    pub(crate) fn mounted(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    /// Waits until the LDB has this sequence.
    pub(crate) async fn caught_up(&self, seq: u64) -> Result<()> {
        eventually(SOON, async || {
            let at = Ldb::open(self.ldb())?.seq()?.get();
            ensure!(at >= seq, "the LDB is at {at} of {seq}");
            Ok(())
        })
        .await
    }

    /// Starts the load program, as a pod would run it.
    pub(crate) fn load(&self, mode: &str, count: u64, time: u64, stop: &Path) -> Result<Program> {
        let (count, time) = (count.to_string(), time.to_string());
        let mut args = vec![OsString::from(mode), self.mounted().into()];
        args.extend([FAMILY.into(), count.into(), time.into(), stop.into()]);
        let program = self.home.path().join("bin/ldb-load");
        Program::start(&format!("ldb-load {mode}"), self.in_a_pod(None).arg(program).args(args))
    }

    /// The beginning of a command that runs as a pod's user, with the directory mounted read-only at [`Node::mounted`], and
    /// `tools`, if any, at `tools` of the node's folder.
    pub(crate) fn in_a_pod(&self, tools: Option<&Path>) -> Command {
        // The mounts are this process's own: they end with it.
        const POD: &str = r#"
            mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" || exit 70
            ! touch "$2/x" 2>/dev/null || exit 71
            [ -z "$3" ] || mount --bind "$3" "$4" || exit 72
            user=$5; shift 5
            exec setpriv --reuid "$user" --regid "$user" --clear-groups --pdeathsig KILL -- "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", POD, "pod"]);
        command.arg(self.ldb()).arg(self.mounted());
        command.arg(tools.unwrap_or(Path::new(""))).arg(self.home.path().join("tools"));
        command.arg(NOBODY.to_string());
        command
    }

    /// The generations that lie in the directory.
    pub(crate) fn generations(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.ldb()).context("list the LDB's directory")?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<Result<Vec<_>>>()?;
        Ok(names.into_iter().filter(|name| name.starts_with("gen-")).collect())
    }
}
