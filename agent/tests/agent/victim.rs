//! An agent in a process of its own that is to be killed at a certain work. The locks that SQLite holds for it say what it
//! is at: the kernel lists them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use reader::layout;

/// Bytes of `-shm` that SQLite locks while it writes, and while it moves the WAL into the database.
const WRITE: u64 = 120;
const CHECKPOINT: u64 = 121;

/// What an agent is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Transaction,
    Checkpoint,
    /// Of the file; `linked`: `current` leads to the new one, and the control page does not say so.
    Replacement {
        linked: bool,
    },
    Other,
}

/// The agent. It is killed at the latest when it is dropped.
pub(crate) struct Victim {
    child: Child,
    ldb: PathBuf,
}

impl Victim {
    /// Runs this test program again, as a child that is told its directory by a variable.
    pub(crate) fn start(test: &str, variable: &str, dir: &Path, ldb: &Path) -> Self {
        // By this name it is there even after another build took its place.
        let child = Command::new("/proc/self/exe")
            .args(["--exact", test])
            .env(variable, dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, ldb: ldb.to_owned() }
    }

    pub(crate) fn is_at(&self, work: Work) -> bool {
        match work {
            Work::Transaction => self.locks(WRITE),
            Work::Checkpoint => self.locks(CHECKPOINT),
            Work::Replacement { .. } | Work::Other => self.replaces().is_some(),
        }
    }

    /// Stops it, looks what it is at, and kills it there.
    pub(crate) fn kill(mut self) -> Work {
        let pid = self.pid();
        kill(pid, Signal::SIGSTOP).unwrap();
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(stopped, WaitStatus::Stopped(..)), "it ended by itself: {stopped:?}");
        let work = match self.replaces() {
            Some(linked) => Work::Replacement { linked },
            None if self.locks(CHECKPOINT) => Work::Checkpoint,
            None if self.locks(WRITE) => Work::Transaction,
            None => Work::Other,
        };
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        work
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Is there a generation that is not served yet, or not by all signs?
    fn replaces(&self) -> Option<bool> {
        let linked = std::fs::read_link(self.ldb.join(layout::CURRENT)).ok()?;
        let linked = layout::generation_of(linked.to_str().unwrap()).unwrap();
        let ctl = std::fs::read(self.ldb.join(layout::CTL)).ok()?;
        let word = 8 * layout::word::GENERATION;
        let told = u64::from_le_bytes(ctl[word..word + 8].try_into().unwrap());
        if told != linked {
            return (told != 0).then_some(true);
        }
        self.ldb.join(layout::generation_dir(linked + 1)).exists().then_some(false)
    }

    /// Does it hold this byte of the served `-shm` alone? Lines are like `7: POSIX  ADVISORY  WRITE 4711 fe:01:131 120 120`.
    fn locks(&self, byte: u64) -> bool {
        let Ok(shm) = std::fs::metadata(self.ldb.join("current/ldb.db-shm")) else { return false };
        let (pid, inode) = (self.child.id().to_string(), shm.ino().to_string());
        let listed = std::fs::read_to_string("/proc/locks").unwrap();
        listed.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, "POSIX", _, "WRITE", holder, file, from, to] = words.as_slice() else {
                return false;
            };
            let covers = from.parse().is_ok_and(|from: u64| from <= byte)
                && to.parse().is_ok_and(|to: u64| byte <= to);
            *holder == pid && file.rsplit(':').next() == Some(&inode) && covers
        })
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
