//! A program under test: its lines are kept, and it ends with the test, however that ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::eventually;
use crate::process::spawn_from_keeper;

/// No line that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program has printed so far.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<String>>);

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    copies: Vec<JoinHandle<()>>,
}

/// The `ctlstore` binary that was built with the test that asks, wherever the target folder is.
///
/// # Errors
/// It was not built.
pub fn ctlstore() -> Result<PathBuf> {
    let test = std::env::current_exe().context("find the test's own program")?;
    let path =
        test.ancestors().nth(2).context("the test's program lies too high")?.join("ctlstore");
    if !path.is_file() {
        bail!("{} is missing: cargo build --workspace --bins", path.display());
    }
    Ok(path)
}

impl Program {
    /// Starts `ctlstore` with these arguments, without what the environment says about it.
    ///
    /// # Errors
    /// It was not built, or cannot be started.
    pub fn ctlstore<S: AsRef<OsStr>>(args: &[S]) -> Result<Self> {
        let name = args.first().map(|arg| arg.as_ref().to_string_lossy().into_owned());
        let mut command = Command::new(ctlstore()?);
        command.args(args);
        Self::start(&format!("ctlstore {}", name.unwrap_or_default()), &command)
    }

    /// Starts any program, without what the environment says about `ctlstore`. One that changes its user must ask for the
    /// parent's death signal itself after that.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, program: &Command) -> Result<Self> {
        // The kernel kills it when the tests end, so a kill -9 of the tests leaves nothing behind.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(program.get_program()).args(program.get_args());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CTLSTORE_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            spawn_from_keeper(command).with_context(|| format!("start {name} through setpriv"))?;
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let copies = vec![
            stdout.follow(child.stdout.take().context("BUG: it was asked for")?),
            stderr.follow(child.stderr.take().context("BUG: it was asked for")?),
        ];
        Ok(Self { name: name.to_owned(), child, stdout, stderr, copies })
    }

    /// Runs `ctlstore` to its end.
    ///
    /// # Errors
    /// It was not built, cannot be started, or does not end within a minute.
    pub async fn run<S: AsRef<OsStr>>(args: &[S]) -> Result<Ended> {
        let mut program = Self::ctlstore(args)?;
        program.end(PATIENCE).await
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed to stdout.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed to stderr.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line on stdout or stderr of which `wanted` makes something.
    ///
    /// # Errors
    /// It ended, or printed nothing like it for a minute; what it printed is in the error.
    pub async fn line<T>(&mut self, mut wanted: impl FnMut(&str) -> Option<T>) -> Result<T> {
        eventually(PATIENCE, async || {
            let all = self.stdout() + &self.stderr();
            let ended = self.child.try_wait().context("look at the program")?;
            match (all.lines().find_map(&mut wanted), ended) {
                (Some(found), _) => Ok(Ok(found)),
                // It will not say it any more.
                (None, Some(status)) => {
                    Ok(Err(anyhow!("{} ended with {status}:\n{all}", self.name)))
                }
                (None, None) => bail!("{} has not said it:\n{all}", self.name),
            }
        })
        .await?
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).context("process id")?);
        nix::sys::signal::kill(pid, signal)
            .with_context(|| format!("send {signal} to {}", self.name))
    }

    /// Kills it, as a power failure would, and waits for its end.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill the program")?;
        self.child.wait().context("wait for the program's end").map(|_| ())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end within `deadline`; what it printed is in the error.
    pub async fn end(&mut self, deadline: Duration) -> Result<Ended> {
        let status = eventually(deadline, async || {
            let ended = self.child.try_wait().context("look at the program")?;
            ended.with_context(|| format!("{} goes on:\n{}", self.name, self.stderr()))
        });
        let status = status.await?;
        for copy in self.copies.drain(..) {
            drop(copy.join());
        }
        Ok(Ended { status, stdout: self.stdout(), stderr: self.stderr() })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a process that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ended, and all that it printed.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: String,
    /// All of its stderr.
    pub stderr: String,
}

impl Ended {
    /// Its exit code; none when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl Lines {
    /// Copies until the pipe's other end is closed. A line is seen when it is whole.
    fn follow(&self, pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                lines.lock().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        })
    }

    fn text(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
