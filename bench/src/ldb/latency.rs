//! Point reads, one after the other, while nobody writes.

use std::cell::RefCell;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::ldb::lmdb::Lmdb;
use crate::ldb::node::Node;
use crate::ldb::point::{self, LMDB, Point, RAW_AUTOCOMMIT, RAW_IN_TRANSACTION, READER, nanos};
use crate::runner::{self, Budget, Contender, Scenario};

/// Reads of a contender in each round.
const READS: usize = 200_000;

pub(crate) fn run(
    node: &Node,
    rounds: usize,
    out: &mut dyn Write,
    json: &mut dyn Write,
) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let all = RefCell::new(Vec::new());
    let measured = |name: &'static str| {
        let (all, folder) = (&all, &folder);
        let run = move || {
            // Opened for its turn alone: a lock that another connection of this process holds costs the next one nothing.
            let mut point: Box<dyn Point> = match name {
                LMDB => Box::new(Lmdb::create(tempfile::tempdir_in(folder)?.path())?),
                other => point::open(other, node.dir())?,
            };
            let times = point::times(&mut *point, READS)?;
            all.borrow_mut().push((name, times.clone()));
            Ok(nanos(&times, 500))
        };
        Contender { name, run: Box::new(run) }
    };
    let contenders = [READER, RAW_IN_TRANSACTION, RAW_AUTOCOMMIT, LMDB].map(measured).into();
    let budgets = vec![
        Budget::AtMost { limit: 1500.0, of: READER },
        Budget::AtMostTimes { times: 1.3, first: READER, second: RAW_IN_TRANSACTION },
    ];
    let mut scenario = Scenario { name: "ldb", unit: "ns, p50", contenders, budgets };
    let kept = runner::run(&mut scenario, rounds, out, json)?;
    drop(scenario);
    tails(&all.into_inner(), out)?;
    Ok(kept)
}

/// The rare slow reads, over all rounds.
fn tails(all: &[(&str, Vec<Duration>)], out: &mut dyn Write) -> Result<()> {
    for name in [READER, RAW_IN_TRANSACTION, RAW_AUTOCOMMIT, LMDB] {
        let of_name = all.iter().filter(|(other, _)| *other == name);
        let mut times: Vec<_> = of_name.flat_map(|(_, times)| times).copied().collect();
        times.sort_unstable();
        let slowest = times.last().context("nothing was measured")?;
        writeln!(
            out,
            "{:<14} {name:<34} p50 {:.0} ns, p99 {:.0} ns, p99.9 {:.0} ns, slowest {slowest:.0?}",
            "ldb",
            nanos(&times, 500),
            nanos(&times, 990),
            nanos(&times, 999),
        )?;
    }
    Ok(())
}
