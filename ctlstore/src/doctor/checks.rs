//! The judgement of what was found. Pure: facts in, findings out.

mod files;

use std::time::Duration;

use reader::layout::{self, word};

use crate::doctor::checks::files::{WAL_HARD, files, leftovers, links, mode, owner, wal};
use crate::doctor::facts::{Facts, Kind, Served, Space};
use crate::doctor::finding::Finding;
use crate::print::{age, size};

/// The agent says every second that it lives.
const SILENT: Duration = Duration::from_secs(5);
const DEAD: Duration = Duration::from_secs(30);
/// Clocks that are kept by NTP differ by less.
const SKEW: Duration = Duration::from_secs(1);
/// Beyond it, heartbeats (every 15 s) do not arrive.
const OLD: Duration = Duration::from_secs(60);

/// All findings about a directory, in the order in which one would look.
pub(crate) fn directory(facts: &Facts) -> Vec<Finding> {
    let Some(folder) = &facts.folder else {
        let dir = facts.dir.display();
        return vec![Finding::fail(
            "directory",
            format!("{dir} is not there"),
            format!(
                "start `ctlstore agent --ldb-dir {dir}` on this node, or name the directory of the one that runs; in a pod, mount it"
            ),
        )];
    };
    if folder.kind != Kind::Folder {
        let found = format!("{} is no directory", facts.dir.display());
        return vec![Finding::fail("directory", found, "name the directory of an agent")];
    }
    let served = facts.served.as_ref();
    let mut findings = vec![mode("directory", &facts.dir, folder, 0o755)];
    findings.push(control_page(facts));
    if let Some(words) = &facts.words {
        findings.push(versions(words));
        findings.push(heartbeat(facts, words));
    }
    findings.push(links(facts));
    if let Some(served) = served {
        findings.extend(files(facts, served));
        findings.push(wal(served));
    }
    findings.push(owner(facts, folder));
    findings.push(leftovers(facts));
    findings.push(locks(facts));
    findings.extend(facts.space.map(|space| disk(space, served)));
    findings.push(rows(facts));
    findings.extend(clock(facts));
    findings
}

/// How long ago the agent said that it lives; negative times are the future.
fn heartbeat_age(facts: &Facts, words: &[u64; word::COUNT]) -> i64 {
    let millis = i64::try_from(words[word::HEARTBEAT]).unwrap_or(i64::MAX);
    facts.now.saturating_sub(millis.saturating_mul(1000))
}

/// Does an agent live?
fn is_alive(facts: &Facts) -> bool {
    let words = facts.words.as_ref();
    words.is_some_and(|words| span(heartbeat_age(facts, words)) < DEAD)
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}

fn control_page(facts: &Facts) -> Finding {
    const CHECK: &str = "control page";
    let path = facts.dir.join(layout::CTL);
    let Some(ctl) = &facts.ctl else {
        let found = format!("{} is not there: no agent has served here", path.display());
        let cure = "start the agent; a directory of the original ctlstore has none, and is read all the same";
        return Finding::fail(CHECK, found, cure);
    };
    if facts.words.is_none() {
        let found = format!("{} ({}) is no control page", path.display(), size(ctl.bytes));
        let cure =
            "stop the agent, remove the file, start the agent, and restart programs that read here";
        return Finding::fail(CHECK, found, cure);
    }
    mode(CHECK, &path, ctl, 0o644)
}

fn versions(words: &[u64; word::COUNT]) -> Finding {
    const CHECK: &str = "versions";
    let (layout, least) = (words[word::VERSION], words[word::LEAST_READER]);
    let (ours, reader) = (layout::VERSION, layout::READER_VERSION);
    let found = format!(
        "layout {layout}, for readers from version {least} on; this program has {ours} and {reader}"
    );
    if layout != ours || least > reader {
        let cure = "use the ctlstore of the agent's release, and rebuild programs with its reader";
        return Finding::fail(CHECK, found, cure);
    }
    Finding::ok(CHECK, found)
}

fn heartbeat(facts: &Facts, words: &[u64; word::COUNT]) -> Finding {
    const CHECK: &str = "agent";
    const START: &str =
        "start the agent, or see its log and /livez; reads go on with what is there";
    let micros = heartbeat_age(facts, words);
    let ago = span(micros);
    match micros {
        ..0 if ago > SKEW => Finding::warn(
            CHECK,
            format!(
                "it was last seen alive in {}: clocks differ or the clock was set back",
                age(ago)
            ),
            "mend the clock of the node; a container has its node's",
        ),
        _ if ago >= DEAD || words[word::HEARTBEAT] == 0 => {
            Finding::fail(CHECK, format!("it was last seen alive {} ago", age(ago)), START)
        }
        _ if ago >= SILENT => {
            Finding::warn(CHECK, format!("it was last seen alive {} ago", age(ago)), START)
        }
        _ => {
            let pid = facts.locks.agent.map(|pid| format!(", process {pid}")).unwrap_or_default();
            Finding::ok(CHECK, format!("it lives: seen {} ago{pid}", age(ago)))
        }
    }
}

fn locks(facts: &Facts) -> Finding {
    const CHECK: &str = "locks";
    let agent = facts.locks.agent;
    let others = |pids: &[u32]| -> Vec<u32> {
        pids.iter().copied().filter(|pid| Some(*pid) != agent).collect()
    };
    let (attached, reading) = (others(&facts.locks.attached), others(&facts.locks.reading));
    let writing = others(&facts.locks.writing);
    if agent.is_some() && !writing.is_empty() {
        return Finding::fail(
            CHECK,
            format!("the writer's lock is held by {}, and the agent waits for it", pids(&writing)),
            "end that process: programs must open the LDB read-only, and mount it so",
        );
    }
    let found =
        format!("{} have the file open, {} of them in a read", attached.len(), reading.len());
    match reading.is_empty() {
        true => Finding::ok(CHECK, found),
        false => Finding::ok(CHECK, format!("{found}: {}", pids(&reading))),
    }
}

fn pids(pids: &[u32]) -> String {
    let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
    format!("process {}", pids.join(", "))
}

fn disk(space: Space, served: Option<&Served>) -> Finding {
    const CHECK: &str = "disk";
    if space.read_only {
        return Finding::ok(CHECK, "mounted read-only, as programs should have it");
    }
    let database = served.and_then(|served| served.database.as_ref());
    let copy = database.map_or(0, |database| database.bytes);
    let found = format!("{} of {} are free", size(space.free), size(space.total));
    if space.free < WAL_HARD.0 {
        let cure = "make room: the agent stops applying before the disk is full";
        return Finding::fail(CHECK, found, cure);
    }
    // A little more than a copy, for what is applied meanwhile.
    if space.free < copy.saturating_add(copy / 8).saturating_add(WAL_HARD.0) {
        let cure = format!(
            "make room for a second copy of ldb.db ({}): without it the file cannot be replaced, nor snapshots be taken",
            size(copy)
        );
        return Finding::warn(CHECK, found, cure);
    }
    Finding::ok(CHECK, found)
}

fn rows(facts: &Facts) -> Finding {
    const CHECK: &str = "rows";
    match &facts.rows {
        None => Finding::fail(CHECK, "they were not looked at", "see the findings above"),
        Some(Err(why)) => {
            let cure = "see the findings above; if they are well: stop the agent, remove the link current, start the agent, which begins anew";
            Finding::fail(CHECK, format!("they cannot be read: {why}"), cure)
        }
        Some(Ok(rows)) => {
            let tables = rows.tables;
            let history =
                rows.position.map_or_else(String::new, |at| format!(" of history {}", at.history));
            Finding::ok(CHECK, format!("{tables} tables at sequence {}{history}", rows.seq))
        }
    }
}

/// This node's clock against that of those who write the ledger.
fn clock(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "clock";
    let written = facts.rows.as_ref()?.as_ref().ok()?.written?;
    let micros = facts.now.saturating_sub(written.as_micros());
    let ago = span(micros);
    Some(match micros {
        ..0 if ago > SKEW => Finding::fail(
            CHECK,
            format!(
                "the newest entry is from the future, by {}: this clock is behind by that at least",
                age(ago)
            ),
            "mend the clock (NTP) of this node, or of ctldb's writers: lags are wrong until then",
        ),
        _ if micros > 0 && ago > OLD => Finding::warn(
            CHECK,
            format!("the newest entry is {} old", age(ago)),
            "with heartbeats on (the operator's --heartbeat-interval) it would be seconds: see the agent's status, and this clock",
        ),
        _ => Finding::ok(CHECK, format!("the newest entry is {} old", age(ago))),
    })
}

#[cfg(test)]
mod tests;
