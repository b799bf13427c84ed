//! Reading an LDB: what a point read costs through the crate `reader`, beside the raw C API of SQLite and beside LMDB, which
//! is the limit; the same with other processes attached; reads while the agent applies; reads after a column was added.
//!
//! A real agent keeps the file, in a process of its own. The bench runs itself again for all that must be another process.

mod attached;
mod column;
mod latency;
mod lmdb;
pub(crate) mod node;
mod point;
mod raw;
mod syscalls;
mod throughput;

use std::io::Write;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::ldb::node::Node;

/// Runs the scenario; true when its budgets were kept.
pub(crate) fn run(args: &Args, out: &mut dyn Write, json: &mut dyn Write) -> Result<bool> {
    let folder = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let node = Node::start(folder.path())?;
    let mut kept = latency::run(&node, args.rounds, out, json)?;
    kept &= syscalls::run(&node, out)?;
    kept &= attached::run(&node, out, json)?;
    throughput::run(&node, args.rounds, out, json)?;
    // Last, for it makes the file another one.
    kept &= column::run(&node, out, json)?;
    Ok(kept)
}

/// What this program does when the scenario runs it again.
pub(crate) fn child(words: &[String]) -> Result<bool> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["attach", ldb] => attached::attach(ldb.as_ref()),
        ["read", contender, ldb, times] => syscalls::read(contender, ldb.as_ref(), times.parse()?),
        _ => bail!("BUG: nothing runs the bench with {words:?}"),
    }
    .map(|()| true)
}
