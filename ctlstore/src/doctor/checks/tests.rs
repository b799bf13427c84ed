//! Each way in which a directory may be ill, and the one line that must say so.

use ledger::{LeaderTs, Seq};
use serde_json::json;

use super::*;
use crate::doctor::facts::{Entry, Rows};
use crate::doctor::finding::Verdict;
use crate::doctor::locks::Locks;
use crate::doctor::reach::{self, Ledger, Newest};

const NOW: i64 = 1_800_000_000_000_000;

fn link(target: &str) -> Option<Entry> {
    Some(Entry::new(Kind::Link(target.into()), 0o777))
}

fn file(bytes: u64) -> Option<Entry> {
    Some(Entry { bytes, ..Entry::new(Kind::File, 0o644) })
}

/// A directory in which all is well.
fn sound() -> Facts {
    let mut words = [0; word::COUNT];
    words[word::MAGIC] = layout::MAGIC;
    words[word::VERSION] = layout::VERSION;
    words[word::GENERATION] = 3;
    words[word::LEAST_READER] = 1;
    words[word::HEARTBEAT] = u64::try_from(NOW / 1000 - 500).unwrap();
    let rows = Rows {
        seq: Seq::new(9).unwrap(),
        position: None,
        written: Some(LeaderTs::from_micros(NOW - 2_000_000)),
        tables: 2,
    };
    Facts {
        dir: "/ldb".into(),
        now: NOW,
        folder: Some(Entry::new(Kind::Folder, 0o755)),
        ctl: file(4096),
        words: Some(words),
        current: link("gen-3"),
        link: link("current/ldb.db"),
        socket: Some(Entry::new(Kind::Socket, 0o666)),
        generations: vec![3],
        served: Some(Served {
            number: 3,
            folder: Some(Entry::new(Kind::Folder, 0o755)),
            database: file(100 << 20),
            wal: file(1 << 20),
            shm: file(32 << 10),
        }),
        strays: Vec::new(),
        space: Some(Space { free: 1 << 30, total: 1 << 34, read_only: false }),
        locks: Locks { agent: Some(7), attached: vec![7, 8], ..Locks::default() },
        rows: Some(Ok(rows)),
        reached: reach::Reached {
            agent: Some(Ok(json!({"state": "following"}))),
            ..reach::Reached::default()
        },
    }
}

fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = directory(facts);
    findings.extend(reach::findings(facts));
    findings
}

/// Damages the sound directory; all that is then not well must be this one finding.
fn check(damage: impl FnOnce(&mut Facts), (check, verdict): (&str, Verdict), words: &str) {
    let mut facts = sound();
    damage(&mut facts);
    let findings = all(&facts);
    let ill: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
    let [Finding { check: of, verdict: is, found, cure }] = ill.as_slice() else {
        panic!("not one finding but {ill:#?}");
    };
    assert_eq!((*of, *is), (check, verdict), "{ill:?}");
    let text = format!("{found} {}", cure.as_deref().unwrap());
    assert!(text.contains(words), "no {words:?} in {text:?}");
}

fn words(facts: &mut Facts) -> &mut [u64; word::COUNT] {
    facts.words.as_mut().unwrap()
}

fn served(facts: &mut Facts) -> &mut Served {
    facts.served.as_mut().unwrap()
}

fn entry(entry: &mut Option<Entry>) -> &mut Entry {
    entry.as_mut().unwrap()
}

#[test]
fn a_sound_directory_has_no_complaint_and_no_cure() {
    let findings = all(&sound());
    assert!(findings.len() >= 13, "{findings:?}");
    for Finding { check, verdict, found, cure } in findings {
        assert_eq!((verdict, cure), (Verdict::Ok, None), "{check}: {found}");
    }
}

#[test]
fn what_is_not_there_is_the_only_finding() {
    let mut facts = Facts { dir: "/nowhere".into(), ..Facts::default() };
    assert_eq!(directory(&facts).len(), 1);
    assert!(directory(&facts)[0].found.contains("/nowhere is not there"));
    facts.folder = file(1);
    assert!(directory(&facts)[0].found.contains("/nowhere is no directory"));
}

#[test]
fn modes_and_owners() {
    use Verdict::{Fail, Warn};
    let cure = "chmod 0755 /ldb";
    check(|f| entry(&mut f.folder).mode = 0o750, ("directory", Fail), cure);
    check(|f| entry(&mut f.folder).mode = 0o777, ("directory", Warn), "can serve wrong rows");
    check(|f| entry(&mut f.ctl).mode = 0o600, ("control page", Fail), "chmod 0644 /ldb/ctl");
    let cure = "chmod 0755 /ldb/gen-3";
    check(|f| entry(&mut served(f).folder).mode = 0o700, ("files", Fail), cure);
    check(
        |f| entry(&mut served(f).database).mode = 0o640,
        ("files", Fail),
        "gen-3/ldb.db has mode 0640",
    );
    check(
        |f| entry(&mut served(f).wal).mode = 0o600,
        ("files", Fail),
        "chmod 0644 /ldb/gen-3/ldb.db-wal",
    );
    check(|f| entry(&mut served(f).shm).mode = 0o666, ("files", Warn), "/ldb/gen-3/ldb.db-shm");
    check(|f| served(f).wal = None, ("files", Fail), "ldb.db-wal is not there");
    check(|f| served(f).shm = None, ("files", Fail), "ldb.db-shm is not there");
    check(|f| entry(&mut served(f).wal).owner = 5, ("owner", Fail), "chown -R 5 /ldb");
}

#[test]
fn the_control_page_and_the_agent() {
    use Verdict::{Fail, Warn};
    let no_page = |f: &mut Facts| {
        (f.ctl, f.words) = (None, None);
    };
    check(no_page, ("control page", Fail), "no agent has served here");
    check(|f| f.words = None, ("control page", Fail), "is no control page");
    check(|f| words(f)[word::VERSION] = 2, ("versions", Fail), "layout 2");
    check(|f| words(f)[word::LEAST_READER] = 9, ("versions", Fail), "rebuild programs");
    let beat = |f: &mut Facts, millis: i64| {
        words(f)[word::HEARTBEAT] = u64::try_from(NOW / 1000 - millis).unwrap();
    };
    check(|f| beat(f, 10_000), ("agent", Warn), "10.0s ago start the agent");
    check(|f| beat(f, 90_000), ("agent", Fail), "1m30s ago start the agent");
    check(|f| words(f)[word::HEARTBEAT] = 0, ("agent", Fail), "start the agent");
    check(|f| beat(f, -5_000), ("agent", Warn), "clocks differ");
}

#[test]
fn links_and_leftovers() {
    use Verdict::{Fail, Warn};
    check(|f| (f.current, f.served) = (file(0), None), ("links", Fail), "no link to a generation");
    let elsewhere = |f: &mut Facts| (f.current, f.served) = (link("../etc"), None);
    let mut facts = sound();
    elsewhere(&mut facts);
    facts.generations.clear();
    assert!(all(&facts).iter().any(|finding| finding.found.contains("leads to ../etc")));
    check(|f| served(f).database = None, ("links", Fail), "where no ldb.db is");
    check(|f| f.link = file(4096), ("links", Fail), "ldb.db is no link to current/ldb.db");
    check(|f| f.link = None, ("links", Fail), "ldb.db is no link");
    check(|f| words(f)[word::GENERATION] = 4, ("links", Warn), "the control page says 4");
    check(|f| f.generations = vec![1, 2, 3, 4], ("leftovers", Warn), "3 generations besides");
    check(|f| f.strays = vec!["ctl.new".to_owned()], ("leftovers", Warn), "ctl.new");
    let mut facts = sound();
    facts.generations = vec![2, 3];
    assert!(all(&facts).iter().all(|finding| finding.cure.is_none()), "kept for programs");
}

#[test]
fn the_log_the_locks_and_the_disk() {
    use Verdict::{Fail, Warn};
    check(|f| entry(&mut served(f).wal).bytes = 9 << 20, ("wal", Warn), "9.0 MiB");
    check(|f| entry(&mut served(f).wal).bytes = 26 << 20, ("wal", Fail), "hard limit of 25.0 MiB");
    check(|f| f.locks.writing = vec![7, 8], ("locks", Fail), "held by process 8,");
    let full = |free| move |f: &mut Facts| f.space.as_mut().unwrap().free = free;
    check(full(1 << 20), ("disk", Fail), "stops applying before the disk is full");
    check(full(50 << 20), ("disk", Warn), "second copy of ldb.db (100.0 MiB)");
    let mut facts = sound();
    facts.space = Some(Space { free: 0, total: 1, read_only: true });
    assert!(all(&facts).iter().all(|finding| finding.cure.is_none()), "a pod's view");
}

#[test]
fn rows_and_clocks() {
    use Verdict::{Fail, Warn};
    let unreadable = |f: &mut Facts| f.rows = Some(Err("disk image is malformed".to_owned()));
    check(unreadable, ("rows", Fail), "disk image is malformed");
    let written = |f: &mut Facts, seconds: i64| {
        let rows = f.rows.as_mut().unwrap().as_mut().unwrap();
        rows.written = Some(LeaderTs::from_micros(NOW - seconds * 1_000_000));
    };
    check(|f| written(f, -30), ("clock", Fail), "from the future, by 30.0s");
    check(|f| written(f, 3600), ("clock", Warn), "1h0m old");
    let mut facts = sound();
    written(&mut facts, 0);
    assert!(all(&facts).iter().all(|finding| finding.cure.is_none()));
}

#[test]
fn those_who_are_asked() {
    use Verdict::{Fail, Warn};
    check(|f| f.reached.agent = None, ("read api", Warn), "/ldb/agent.sock is not there");
    let refused = || Some(Err("connection refused".to_owned()));
    check(|f| f.reached.agent = refused(), ("read api", Fail), "restart the agent");
    let poisoned = json!({"state": "poisoned", "message": "entry 9 cannot be applied"});
    check(
        |f| f.reached.agent = Some(Ok(poisoned)),
        ("read api", Fail),
        "entry 9 cannot be applied",
    );
    let ledger = |last, pruned| {
        let seq = |number| Seq::try_from(number).unwrap();
        let history = ledger::History::Legacy;
        Some(Ok(Ledger { history, last: seq(last), pruned_through: seq(pruned) }))
    };
    check(
        |f| f.reached.ctldb = Some(Err("access denied".to_owned())),
        ("ctldb", Fail),
        "access denied",
    );
    check(|f| f.reached.ctldb = ledger(8_u64, 0), ("ctldb", Fail), "before the LDB's 9");
    check(|f| f.reached.ctldb = ledger(99_u64, 20), ("ctldb", Fail), "--snapshot-url");
    check(
        |f| f.reached.store = Some(Ok(Newest(None))),
        ("snapshots", Warn),
        "none of this history",
    );
    check(
        |f| f.reached.store = Some(Err("no such bucket".to_owned())),
        ("snapshots", Fail),
        "no such bucket",
    );
    check(|f| f.reached.executive = Some(Err("503".to_owned())), ("executive", Fail), "503");
    let mut facts = sound();
    facts.reached.ctldb = ledger(12_u64, 0);
    facts.reached.store = Some(Ok(Newest(Seq::new(5))));
    facts.reached.executive = Some(Ok(()));
    let findings = all(&facts);
    assert!(findings.iter().all(|finding| finding.cure.is_none()), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.found.contains("3 entries after the LDB")));
}
