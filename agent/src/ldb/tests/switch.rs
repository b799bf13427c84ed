//! One file takes another's place: whole or not at all, and nobody is left behind in silence.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reader::layout;
use testkit::plain::Plain;

use crate::args::LdbLimits;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::tests::{apply_rest, go_on, mixed, open, rows, steps, upsert};
use crate::ldb::{Claim, Error, Writer, dir};
use crate::replay::Step;

fn all_rows() -> BTreeMap<String, i64> {
    [("0", 2), ("1", 2), ("2", 2), ("4", 2), ("9", 10)].map(|(id, n)| (id.to_owned(), n)).into()
}

fn writer(path: &Path, retired_for: Duration) -> Writer {
    open(path, &LdbLimits { retired_for, ..LdbLimits::default() }, Crash::default()).unwrap()
}

/// Does what is due now and not in a second.
fn look(writer: &mut Writer) {
    writer.last_look = None;
    writer.tidy();
}

/// All is applied, one generation is there, and all that says which agrees.
fn is_whole(path: &Path, steps: &[Step]) {
    go_on(path, steps, 100, Crash::default()).unwrap();
    assert_eq!(rows(path), all_rows());
    let served = dir::served(path).unwrap().unwrap();
    assert_eq!(reader::Ldb::open(path).unwrap().generation(), served);
    assert_eq!(dir::generations(path).unwrap(), [served]);
    for name in std::fs::read_dir(path).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".new"), "{name}");
    }
}

#[test]
fn a_crash_between_any_two_steps_of_a_replacement_leaves_a_good_file() {
    use Point::{Checked, DraftMade, Filled, Linked, Retired, Served};
    let steps = steps(&mixed());
    for point in [DraftMade, Filled, Checked, Linked, Served, Retired] {
        let dir = tempfile::tempdir().unwrap();
        go_on(dir.path(), &steps[..2], 100, Crash::default()).unwrap();
        // The first start passes `Linked`, too; this one does not.
        let mut writer = open(dir.path(), &LdbLimits::default(), Crash::at(point, 0)).unwrap();
        let crashed = writer.publish_copy();
        assert!(
            matches!(crashed, Err(Error::Crashed(at)) if at == point),
            "{point:?}: {crashed:?}"
        );
        drop(writer);
        is_whole(dir.path(), &steps);
    }
}

#[test]
fn a_crash_between_any_two_steps_of_a_rebuild_leaves_a_good_file() {
    use Point::{FileMade, Linked, Retired, Served, TablesMade};
    let steps = steps(&mixed());
    for point in [FileMade, TablesMade, Linked, Served, Retired] {
        let dir = tempfile::tempdir().unwrap();
        go_on(dir.path(), &steps, 100, Crash::default()).unwrap();
        std::fs::remove_file(dir.path().join(".clean")).unwrap();
        let file = dir.path().join("gen-1/ldb.db");
        std::fs::write(&file, vec![7; 8192]).unwrap();
        let opened = open(dir.path(), &LdbLimits::default(), Crash::at(point, 0));
        let crashed = opened.and_then(|mut writer| {
            apply_rest(&mut writer, &steps, 3)?;
            writer.end_rebuild()
        });
        // What is retired without having been opened passes no point.
        let passes = point != Retired;
        assert_eq!(matches!(crashed, Err(Error::Crashed(_))), passes, "{point:?}: {crashed:?}");
        let mut writer = open(dir.path(), &LdbLimits::default(), Crash::default()).unwrap();
        apply_rest(&mut writer, &steps, 100).unwrap();
        writer.tidy();
        drop(writer);
        is_whole(dir.path(), &steps);
    }
}

#[test]
fn rubbish_of_earlier_starts_is_removed_and_a_lost_link_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&mixed());
    go_on(dir.path(), &steps, 100, Crash::default()).unwrap();
    writer(dir.path(), Duration::MAX).publish_copy().unwrap();
    for name in ["gen-1", "gen-3", "gen-7/deep"] {
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("ldb.db"), "rubbish").unwrap();
    }
    std::os::unix::fs::symlink("gen-7", dir.path().join("current.new")).unwrap();
    std::fs::remove_file(dir.path().join("current")).unwrap();
    is_whole(dir.path(), &steps);
    assert_eq!(dir::served(dir.path()).unwrap(), Some(2));
}

#[test]
fn a_file_that_is_handed_in_is_served_when_it_is_good_and_new_enough() {
    let dir = tempfile::tempdir().unwrap();
    let (other, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let steps = steps(&mixed());
    go_on(dir.path(), &steps[..9], 100, Crash::default()).unwrap();
    go_on(other.path(), &steps, 100, Crash::default()).unwrap();
    go_on(older.path(), &steps[..2], 100, Crash::default()).unwrap();
    let mut writer = writer(dir.path(), Duration::MAX);
    let mut hand_in = |from: &Path, change: &str, claim| {
        let draft = writer.drafts().begin().unwrap();
        let folder = draft.folder.clone();
        std::fs::copy(from.join("gen-1/ldb.db"), draft.file()).unwrap();
        let plain = rusqlite::Connection::open(draft.file()).unwrap();
        plain.execute_batch(change).unwrap();
        drop(plain);
        let outcome = writer.publish(draft, claim);
        assert_eq!(folder.exists(), outcome.is_ok());
        outcome.map_err(|error| daemon::log::Chain(&error).to_string())
    };
    let refused = |outcome: Result<(), String>, words: &str| {
        let text = outcome.unwrap_err();
        assert!(text.contains(words), "{text}");
    };
    let trigger =
        "CREATE TRIGGER t AFTER INSERT ON _ldb_seq BEGIN SELECT 1; END; CREATE VIEW v AS SELECT 1";
    refused(hand_in(other.path(), trigger, Claim::AtLeast), "the trigger \"t\", the view \"v\"");
    refused(hand_in(other.path(), "CREATE TABLE x (id)", Claim::Instead), "the table \"x\"");
    refused(
        hand_in(other.path(), "UPDATE _ldb_seq SET seq = 3", Claim::Instead),
        "_ldb_seq says 3",
    );
    refused(hand_in(older.path(), "", Claim::AtLeast), "ends at 2, before 9");
    let incarnation = || {
        let ctl = std::fs::read(dir.path().join("ctl")).unwrap();
        u64::from_le_bytes(ctl[40..48].try_into().unwrap())
    };
    let ldb = reader::Ldb::open(dir.path()).unwrap();
    assert_eq!((ldb.seq().unwrap().get(), incarnation()), (9, 1));
    hand_in(other.path(), "", Claim::AtLeast).unwrap();
    assert_eq!((ldb.seq().unwrap().get(), incarnation()), (12, 1));
    hand_in(older.path(), "", Claim::Instead).unwrap();
    assert_eq!((ldb.seq().unwrap().get(), incarnation()), (2, 2));
    drop(ldb);
    apply_rest(&mut writer, &steps, 100).unwrap();
    assert_eq!(rows(dir.path()), all_rows());
}

#[test]
fn a_plain_client_gets_fresh_rows_after_a_switch_and_then_an_error() {
    const ASK: &str = "SELECT n FROM fam___tbl WHERE id = '9'";
    let dir = tempfile::tempdir().unwrap();
    let mut texts = mixed();
    texts.extend([upsert(9, 11), upsert(9, 12)]);
    let steps = steps(&texts);
    go_on(dir.path(), &steps[..12], 100, Crash::default()).unwrap();
    let mut writer = writer(dir.path(), Duration::from_secs(3));
    let mut plain = Plain::open(&dir.path().join("current/ldb.db"));
    assert_eq!(plain.ask(ASK), "ok [(10,)]");
    writer.publish_copy().unwrap();
    apply_rest(&mut writer, &steps[..13], 100).unwrap();
    assert_eq!(plain.ask(ASK), "ok [(11,)]");
    look(&mut writer);
    let health = writer.health();
    assert_eq!((health.generation, health.retired, health.retired_attached), (2, 1, 1));

    // A restart of the agent changes nothing of that.
    drop(writer);
    let mut writer = self::writer(dir.path(), Duration::from_secs(3));
    apply_rest(&mut writer, &steps[..14], 100).unwrap();
    assert_eq!(plain.ask(ASK), "ok [(12,)]");

    let end = std::time::Instant::now() + Duration::from_secs(20);
    while plain.ask(ASK).starts_with("ok") {
        assert!(std::time::Instant::now() < end, "it is never told");
        std::thread::sleep(Duration::from_millis(20));
        look(&mut writer);
    }
    assert_eq!(plain.ask(ASK), "error no such table: fam___tbl");
    assert_eq!(plain.ask("SELECT seq FROM _ldb_seq"), "error no such table: _ldb_seq");
    // Also after a restart it is kept while somebody has it open, and goes then.
    drop(writer);
    let mut writer = self::writer(dir.path(), Duration::from_secs(3));
    look(&mut writer);
    assert_eq!(dir::generations(dir.path()).unwrap(), [1, 2]);
    drop(plain);
    look(&mut writer);
    assert_eq!(dir::generations(dir.path()).unwrap(), [2]);
    assert_eq!(rows(dir.path())["9"], 12);
    for fd in std::fs::read_dir("/proc/self/fd").unwrap() {
        let leads = std::fs::read_link(fd.unwrap().path()).unwrap_or_default();
        assert!(!leads.starts_with(dir.path().join("gen-1")), "{}", leads.display());
    }
}

#[test]
fn a_crash_while_a_file_retires_leaves_no_reader_with_old_rows() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&mixed());
    go_on(dir.path(), &steps, 100, Crash::default()).unwrap();
    let limits = LdbLimits { retired_for: Duration::from_millis(1), ..LdbLimits::default() };
    let mut plain = Plain::open(&dir.path().join("current/ldb.db"));
    plain.ask("SELECT 1 FROM fam___tbl");
    let mut writer = open(dir.path(), &limits, Crash::at(Point::Renamed, 0)).unwrap();
    writer.publish_copy().unwrap();
    std::thread::sleep(Duration::from_millis(5));
    look(&mut writer);
    drop(writer);
    assert!(plain.ask("SELECT 1 FROM fam___tbl").starts_with("error no such table"));
    let mut writer = open(dir.path(), &limits, Crash::at(Point::Removed, 0)).unwrap();
    drop(plain);
    look(&mut writer);
    drop(writer);
    is_whole(dir.path(), &steps);
}

#[test]
fn a_frozen_file_is_copied_while_changes_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let steps = steps(&mixed());
    go_on(dir.path(), &steps[..2], 100, Crash::default()).unwrap();
    let mut writer = writer(dir.path(), Duration::MAX);
    let frozen = writer.freeze(Duration::from_millis(500)).unwrap().unwrap();
    apply_rest(&mut writer, &steps, 100).unwrap();
    let copy = copies.path().join(layout::LDB);
    frozen.copy_to(&copy, |_| Ok(())).unwrap();
    assert_eq!(std::fs::metadata(&copy).unwrap().len(), frozen.bytes);
    let position = frozen.position;
    drop(frozen);
    assert_eq!(rows(dir.path()), all_rows());
    let copied = rusqlite::Connection::open(&copy).unwrap();
    let check: String = copied.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    assert_eq!(reader::meta::position(&copied).unwrap(), position);
    assert_eq!(position, Some(steps[1].position));

    // A reader of an old state in the WAL keeps it from being frozen, for no longer than the budget.
    let old = rusqlite::Connection::open(dir.path().join("ldb.db")).unwrap();
    old.execute_batch("BEGIN; SELECT * FROM _ldb_seq").unwrap();
    let mut longer = mixed();
    longer.push(upsert(9, 11));
    apply_rest(&mut writer, &super::steps(&longer), 100).unwrap();
    assert!(writer.freeze(Duration::from_millis(20)).unwrap().is_none());
    drop(old);
    assert!(writer.freeze(Duration::from_millis(500)).unwrap().is_some());
}
