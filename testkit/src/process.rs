//! Child processes that cannot outlive the test process, and folders that vanish with it.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::eventually::poll;

/// A program to start: what, with which arguments, and the file that takes its output.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) log: PathBuf,
}

/// A running server. Dropping it kills it and waits for its end.
pub(crate) struct Daemon {
    child: Child,
    program: PathBuf,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn start(launch: Launch) -> Result<Self> {
        let Launch { program, args, log } = launch;
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .context("open the server's log")?;
        // The kernel kills the server when the thread that started it ends, so a kill -9 of the tests leaves nothing behind.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&program).args(&args);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the server's log")?)
            .stderr(output);
        let child = spawn_from_keeper(command)
            .with_context(|| format!("start {} through setpriv", program.display()))?;
        Ok(Self { child, program, log })
    }

    /// Fails with the end of its log when the server has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("look at the server")? {
            bail!("{} ended with {status}:\n{}", self.program.display(), self.tail());
        }
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).context("process id")?);
        kill(pid, signal).with_context(|| format!("send {signal} to {}", self.program.display()))
    }

    /// Ends the server politely, or within `patience` the other way.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        poll(patience, || self.child.try_wait().context("wait for the server's end"))
            .with_context(|| {
                format!("{} does not end:\n{}", self.program.display(), self.tail())
            })?;
        Ok(())
    }

    /// The last lines of its log, for messages.
    pub(crate) fn tail(&self) -> String {
        let text =
            std::fs::read_to_string(&self.log).unwrap_or_else(|err| format!("no log: {err}"));
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only for a process that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A private folder. It vanishes on drop, and also when the process ends without dropping it, as statics do.
pub(crate) struct Home {
    folder: TempDir,
    watch: Child,
}

impl Home {
    pub(crate) fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("ctlstore-test-").context("make a private folder")?;
        // It reads a pipe that only we can write to: its end is our end.
        let sweep =
            r#"cat >/dev/null; for _ in 1 2 3 4 5; do rm -rf -- "$1" && exit; sleep 0.2; done"#;
        let mut command = Command::new("sh");
        command.args(["-c", sweep, "sweep"]).arg(folder.path());
        // Its own group, so that Ctrl-C at the tests does not end it first.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watch = command.spawn().context("start the sweeper of the private folder")?;
        Ok(Self { folder, watch })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

/// Starts `command` from a thread that lives as long as the process: `--pdeathsig` goes by thread, and a test's thread is short-lived.
pub(crate) fn spawn_from_keeper(command: Command) -> io::Result<Child> {
    type Request = (Command, Sender<io::Result<Child>>);
    static KEEPER: OnceLock<Sender<Request>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (requests, inbox) = channel::<Request>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // The asker waits for it.
                let _ = reply.send(command.spawn());
            }
        });
        requests
    });
    let (reply, answer) = channel();
    keeper.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}
