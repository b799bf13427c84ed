//! A plain SQLite client in a process of its own, as users have them: it opens a file once and keeps it open, with
//! another SQLite than ours. Python brings one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const PROGRAM: &str = "
import sqlite3, sys
db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, isolation_level=None, timeout=0)
for line in sys.stdin:
    try:
        print('ok', db.execute(line).fetchall(), flush=True)
    except Exception as error:
        print('error', error, flush=True)
";

/// The client. It ends when it is dropped.
#[derive(Debug)]
pub struct Plain {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Plain {
    /// Opens the file read-only. SQLite looks at it at the first question.
    #[must_use]
    pub fn open(file: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let to = child.stdin.take().expect("it has an input");
        let from = BufReader::new(child.stdout.take().expect("it has an output"));
        Self { child, to, from }
    }

    /// Runs one statement: `ok [(1,)]`, or `error` and why.
    pub fn ask(&mut self, sql: &str) -> String {
        writeln!(self.to, "{sql}").expect("the client listens");
        let mut answer = String::new();
        self.from.read_line(&mut answer).expect("the client answers");
        answer.trim().to_owned()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // SIGKILL also ends one that was stopped.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
