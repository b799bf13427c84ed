//! System calls per point read: this program runs itself under strace(1), twice, and the difference counts.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::ldb::node::Node;
use crate::ldb::point::{self, RAW_AUTOCOMMIT, RAW_IN_TRANSACTION, READER};

/// Reads of the shorter run; the longer one does three times as many.
const READS: u32 = 2_000;
/// The first reads fill caches.
const WARM: u32 = 20_000;
/// A view is renewed some times in a second, so a few calls fall on many reads.
const MOST: f64 = 0.05;

pub(crate) fn run(node: &Node, out: &mut dyn Write) -> Result<bool> {
    let mut per_read = Vec::new();
    for contender in [READER, RAW_IN_TRANSACTION, RAW_AUTOCOMMIT] {
        let counted = [READS, 3 * READS].map(|reads| count(contender, node.dir(), reads));
        let (less, more) = match counted {
            [Ok(Some(less)), Ok(Some(more))] => (less, more),
            [Err(error), _] | [_, Err(error)] => return Err(error),
            _ => {
                writeln!(out, "{:<14} system calls: not counted, strace is not installed", "ldb")?;
                return Ok(true);
            }
        };
        let calls = f64::from(more.saturating_sub(less)) / f64::from(2 * READS);
        writeln!(out, "{:<14} {contender:<34} {calls:.3} system calls a read", "ldb")?;
        per_read.push(calls);
    }
    // Pages that are not in the cache are read from the file, whoever reads.
    let own = per_read[0] - per_read[1];
    let kept = own <= MOST;
    let word = if kept { "kept" } else { "NOT KEPT" };
    writeln!(
        out,
        "{:<14} {READER} makes at most {MOST} system calls a read of its own: {own:.3}, {word}",
        "ldb"
    )?;
    Ok(kept)
}

/// The system calls of the main thread of a run with so many reads; none without strace.
fn count(contender: &str, dir: &Path, reads: u32) -> Result<Option<u32>> {
    let log = tempfile::NamedTempFile::new()?;
    let mut command = Command::new("strace");
    command.arg("-qq").arg("-o").arg(log.path()).arg(std::env::current_exe()?);
    command.args(["--", "read", contender]).arg(dir).arg(reads.to_string());
    let ran = command.stdout(Stdio::null()).output();
    let ran = match ran {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.context("start strace")?,
    };
    if !ran.status.success() {
        bail!("strace ended with {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
    }
    let lines = std::fs::read_to_string(log.path())?.lines().count();
    Ok(Some(u32::try_from(lines)?))
}

/// The program under strace.
pub(crate) fn read(contender: &str, dir: &Path, reads: u32) -> Result<()> {
    let mut point = point::open(contender, dir)?;
    let mut total = 0;
    for key in point::keys().iter().cycle().take(usize::try_from(WARM + reads)?) {
        total += point.read(key)?;
    }
    if total == 0 {
        bail!("nothing was read");
    }
    Ok(())
}
