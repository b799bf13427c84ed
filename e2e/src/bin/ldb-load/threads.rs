//! Many threads that read pairs through the crate `reader`, as an application does.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ledger::Value;
use reader::{Family, Ldb};

use crate::Task;
use crate::seen::{Pair, Seen};

/// The first thread reads so much more often than the others.
const HOT: u32 = 20;

pub(crate) fn read(task: &Task) -> Result<Seen> {
    let ldb = Ldb::open(&task.dir).context("open the LDB")?;
    let family = ldb.family(&task.family).context("open the family")?;
    // All threads have read the last state and are there still: only then is it fair to look for files left open.
    let done = Arc::new(Barrier::new(usize::try_from(task.count)? + 1));
    let threads: Vec<_> = (0..task.count)
        .map(|number| {
            let (task, done) = (task.clone(), Arc::clone(&done));
            let (ldb, family) = (ldb.clone(), family.clone());
            thread::spawn(move || {
                let seen = watch(&task, &ldb, &family, number);
                done.wait();
                done.wait();
                seen
            })
        })
        .collect();
    done.wait();
    let mut seen = Seen { stale_files: stale_files(ldb.generation())?, ..Seen::default() };
    done.wait();
    for thread in threads {
        seen.add(thread.join().ok().context("a thread of readers panicked")?);
    }
    Ok(seen)
}

fn watch(task: &Task, ldb: &Ldb, family: &Family, number: u64) -> Seen {
    let pause = Duration::from_millis(task.time) / if number == 0 { HOT } else { 1 };
    let pair = i64::try_from(number % 8).unwrap_or_default();
    let (mut seen, mut last, mut seq) = (Seen::default(), 0, 0);
    loop {
        let over = task.is_over();
        let started = Instant::now();
        match family_pair(family, pair) {
            Ok(found) => seen.answer(found, &mut last),
            Err(error) => seen.failure(error.as_ref()),
        }
        seen.slowest = seen.slowest.max(started.elapsed());
        match ldb.seq() {
            Ok(now) => {
                seen.backwards += u64::from(now.get() < seq);
                seq = now.get();
            }
            Err(error) => seen.failure(&error),
        }
        if over {
            return seen;
        }
        thread::sleep(pause);
    }
}

fn family_pair(family: &Family, pair: i64) -> Result<Pair> {
    let rows = family.rows("pairs", &[pair.into()])?;
    let mut sides = rows.iter().map(|row| match (row.get("n"), row.get("at")) {
        (Some(Value::Integer(n)), Some(Value::Integer(at))) => Ok((*n, *at)),
        other => bail!("pair {pair} holds {other:?}"),
    });
    match (sides.next(), sides.next(), sides.next()) {
        (Some(left), Some(right), None) => Ok(Pair { left: left?, right: right? }),
        _ => bail!("pair {pair} has {} rows", rows.len()),
    }
}

/// Files of an LDB that this process has open and that are not of this generation.
fn stale_files(generation: u64) -> Result<std::collections::BTreeSet<String>> {
    let served = format!("/gen-{generation}/");
    let links = std::fs::read_dir("/proc/self/fd").context("list the open files")?;
    let links = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    let names = links.map(|link| link.to_string_lossy().into_owned());
    let stale = |name: &String| {
        name.contains("/ldb.db") && (!name.contains(&served) || name.ends_with("(deleted)"))
    };
    Ok(names.filter(stale).collect())
}
