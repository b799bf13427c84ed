//! Point reads while other processes have the file open, as the pods of a node have: SQLite's locks of one file are a list
//! that each lock walks.

use std::io::{self, Read as _, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::ldb::node::{Node, key};
use crate::ldb::point::{self, Point as _, RAW_AUTOCOMMIT, READER, nanos};
use crate::ldb::raw::{Mode, Raw};
use crate::runner::{self, Budget, Contender, Scenario};

/// Reads at each number of others.
const READS: usize = 50_000;
const NAMES: [(&str, &str, u32); 4] = [
    ("reader, 1 other attached", "autocommit, 1 other attached", 1),
    ("reader, 50 others", "autocommit, 50 others", 50),
    ("reader, 250 others", "autocommit, 250 others", 250),
    ("reader, 1000 others", "autocommit, 1000 others", 1000),
];

pub(crate) fn run(node: &Node, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let mut reader = point::open(READER, node.dir())?;
    let mut raw = point::open(RAW_AUTOCOMMIT, node.dir())?;
    let (mut others, mut contenders) = (Vec::new(), Vec::new());
    for (name, raw_name, count) in NAMES {
        while others.len() < usize::try_from(count)? {
            others.push(Other::start(node.dir())?);
        }
        let figure = nanos(&point::times(&mut *reader, READS)?, 500);
        contenders.push(Contender { name, run: Box::new(move || Ok(figure)) });
        let figure = nanos(&point::times(&mut *raw, READS)?, 500);
        contenders.push(Contender { name: raw_name, run: Box::new(move || Ok(figure)) });
    }
    drop(others);
    let budgets = vec![Budget::AtMostTimes { times: 1.5, first: NAMES[2].0, second: NAMES[0].0 }];
    let mut scenario = Scenario { name: "ldb", unit: "ns, p50", contenders, budgets };
    runner::run(&mut scenario, 1, out, json)
}

/// A process that has the file open. Dropping it ends it.
struct Other {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Other {
    /// Starts it, and waits until it has read a row.
    fn start(dir: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--", "attach"]).arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start a process that attaches")?;
        let stdin = child.stdin.take();
        let mut said = [0];
        let stdout = child.stdout.take();
        let mut other = Self { child, stdin };
        let attached = stdout.context("no stdout")?.read_exact(&mut said);
        attached
            .with_context(|| format!("a process could not attach: {:?}", other.child.wait()))?;
        Ok(other)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends by itself now.
        let _ = self.child.wait();
    }
}

/// The program that attaches: as little as a program can be that reads a row now and then.
pub(crate) fn attach(dir: &Path) -> Result<()> {
    let mut raw = Raw::open(dir, Mode::Autocommit)?;
    raw.read(&key(0))?;
    io::stdout().write_all(b"+")?;
    io::stdout().flush()?;
    // Until the bench closes its end.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
