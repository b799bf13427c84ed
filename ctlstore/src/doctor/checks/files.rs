//! What the files are: modes, owners, links, the log, and what should not be there.

use std::path::{Path, PathBuf};

use reader::layout::{self, word};

use crate::doctor::checks::is_alive;
use crate::doctor::facts::{Entry, Facts, Kind, Served};
use crate::doctor::finding::Finding;
use crate::print::size;

/// `--wal-soft-limit` and the bounds of `--wal-hard-limit`, as they are without these flags.
const WAL_SOFT: u64 = 4 << 20;
pub(super) const WAL_HARD: (u64, u64) = (12 << 20, 1 << 30);

pub(super) fn mode(check: &'static str, path: &Path, entry: &Entry, want: u32) -> Finding {
    let (path, is) = (path.display(), entry.mode);
    let found = format!("{path} has mode {is:04o}");
    // What others may read, and nobody but its owner write.
    if is & want & 0o555 != want & 0o555 {
        let why = format!("chmod {want:04o} {path}: programs of other users cannot read it");
        return Finding::fail(check, found, why);
    }
    if is & 0o022 != 0 && entry.kind != Kind::Socket {
        let why = format!("chmod {want:04o} {path}: whoever writes there can serve wrong rows");
        return Finding::warn(check, found, why);
    }
    Finding::ok(check, found)
}

pub(super) fn links(facts: &Facts) -> Finding {
    const CHECK: &str = "links";
    const MEND: &str = "stop the agent, remove the link, start the agent: it makes it anew";
    let target = |entry: Option<&Entry>| match entry.map(|entry| &entry.kind) {
        Some(Kind::Link(target)) => Some(target.clone()),
        Some(Kind::Folder | Kind::File | Kind::Socket | Kind::Other) | None => None,
    };
    let Some(current) = target(facts.current.as_ref()) else {
        return Finding::fail(CHECK, "current is no link to a generation", MEND);
    };
    let Some(served) = &facts.served else {
        let found = format!("current leads to {}, which is no generation", current.display());
        return Finding::fail(CHECK, found, MEND);
    };
    if served.database.is_none() {
        let found = format!("current leads to {}, where no ldb.db is", current.display());
        let cure = "stop the agent, remove the link current and start the agent: it begins anew";
        return Finding::fail(CHECK, found, cure);
    }
    let original = Path::new(layout::CURRENT).join(layout::LDB);
    if target(facts.link.as_ref()) != Some(original) {
        let found = "ldb.db is no link to current/ldb.db: programs that open it see other rows";
        return Finding::fail(CHECK, found, MEND);
    }
    match facts.words.map(|words| words[word::GENERATION]) {
        Some(told) if told != served.number => Finding::warn(
            CHECK,
            format!("current leads to generation {}, the control page says {told}", served.number),
            "a switch was cut short: restart the agent",
        ),
        Some(_) | None => Finding::ok(CHECK, format!("generation {} is served", served.number)),
    }
}

/// The files that are served, one finding for all that are well.
pub(super) fn files(facts: &Facts, served: &Served) -> Vec<Finding> {
    const CHECK: &str = "files";
    let folder = facts.dir.join(layout::generation_dir(served.number));
    let path = |name: &str| folder.join(format!("{}{name}", layout::LDB));
    let all: [(PathBuf, Option<&Entry>, u32); 4] = [
        (folder.clone(), served.folder.as_ref(), 0o755),
        (path(""), served.database.as_ref(), 0o644),
        (path("-wal"), served.wal.as_ref(), 0o644),
        (path("-shm"), served.shm.as_ref(), 0o644),
    ];
    let mut findings = Vec::new();
    for (path, entry, want) in all {
        match entry {
            Some(entry) => findings.push(mode(CHECK, &path, entry, want)),
            // A missing database is the links' finding.
            None if served.database.is_some() => findings.push(Finding::fail(
                CHECK,
                format!(
                    "{} is not there: programs with a read-only mount cannot read",
                    path.display()
                ),
                "restart the agent, which makes it",
            )),
            None => {}
        }
    }
    findings.retain(|finding| finding.cure.is_some());
    if findings.is_empty() {
        let bytes = served.database.as_ref().map_or(0, |database| database.bytes);
        findings.push(Finding::ok(
            CHECK,
            format!("ldb.db ({}), -wal and -shm are readable", size(bytes)),
        ));
    }
    findings
}

pub(super) fn wal(served: &Served) -> Finding {
    const CHECK: &str = "wal";
    let bytes = served.wal.as_ref().map_or(0, |wal| wal.bytes);
    let database = served.database.as_ref().map_or(0, |database| database.bytes);
    let hard = (database / 4).clamp(WAL_HARD.0, WAL_HARD.1);
    let found = format!("the write-ahead log has {}", size(bytes));
    if bytes > hard {
        let cure = "a program keeps a read transaction open and the file cannot be replaced: see ctlstore_agent_ldb_condition, make room on the disk, end the reader";
        return Finding::fail(
            CHECK,
            format!("{found}, more than its hard limit of {}", size(hard)),
            cure,
        );
    }
    if bytes > 2 * WAL_SOFT {
        let cure = "a program keeps a read transaction open, see the check \"locks\": end it, or wait for the agent to replace the file";
        return Finding::warn(CHECK, found, cure);
    }
    Finding::ok(CHECK, found)
}

pub(super) fn owner(facts: &Facts, folder: &Entry) -> Finding {
    const CHECK: &str = "owner";
    let served = facts.served.as_ref();
    let files = served.map(|served| [&served.folder, &served.database, &served.wal, &served.shm]);
    let files = files.into_iter().flatten().chain([&facts.ctl]);
    let others: Vec<u32> = files.flatten().map(|entry| entry.owner).collect();
    let owner = folder.owner;
    match others.iter().find(|other| **other != owner) {
        Some(other) => Finding::fail(
            CHECK,
            format!("the directory belongs to user {owner}, and files in it to user {other}"),
            format!("chown -R {other} {}, if that is the agent's user", facts.dir.display()),
        ),
        None => Finding::ok(CHECK, format!("all belongs to user {owner}")),
    }
}

pub(super) fn leftovers(facts: &Facts) -> Finding {
    const CHECK: &str = "leftovers";
    let served = facts.served.as_ref().map(|served| served.number);
    let others = facts.generations.iter().filter(|generation| Some(**generation) != served).count();
    let strays = facts.strays.join(", ");
    match (others, is_alive(facts)) {
        (0, _) if strays.is_empty() => Finding::ok(CHECK, "none"),
        (1..=2, true) if strays.is_empty() => Finding::ok(
            CHECK,
            format!(
                "{others} generations that were replaced are kept for programs that have them open"
            ),
        ),
        (_, true) => Finding::warn(
            CHECK,
            format!(
                "{others} generations besides the served one; temporary files: {}",
                or_none(&strays)
            ),
            "restart programs that do not follow a new file, see ctlstore_agent_retired_attached",
        ),
        (_, false) => Finding::warn(
            CHECK,
            format!(
                "{others} generations besides the served one; temporary files: {}",
                or_none(&strays)
            ),
            "start the agent, which removes them",
        ),
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
