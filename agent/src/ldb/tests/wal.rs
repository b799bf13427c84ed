//! The WAL stays within its limits, whatever readers do.

use std::path::Path;
use std::time::Duration;

use crate::args::LdbLimits;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::tests::{TABLE, apply_rest, go_on, mixed, open, rows, steps};
use crate::ldb::{Ahead, Condition, Error, dir};

const HARD: u64 = 1 << 20;

fn limits() -> LdbLimits {
    let (wal_soft_limit, wal_hard_limit) = (64 << 10, Some(HARD));
    LdbLimits { wal_soft_limit, wal_hard_limit, retired_for: Duration::MAX }
}

/// Entries of two pages each.
fn large(number: u8) -> Vec<String> {
    let text = "x".repeat(6000);
    let row = |n| format!("REPLACE INTO fam___big (\"id\",\"text\") VALUES('{n}','{text}')");
    let table = "CREATE TABLE fam___big (\"id\" VARCHAR(191), \"text\" TEXT, PRIMARY KEY(\"id\"));";
    [TABLE.to_owned(), table.to_owned()].into_iter().chain((0..number).map(row)).collect()
}

fn largest_wal(path: &Path) -> u64 {
    let folders = dir::generations(path).unwrap().into_iter().map(|n| dir::folder(path, n));
    folders
        .map(|folder| std::fs::metadata(folder.join("ldb.db-wal")).map_or(0, |wal| wal.len()))
        .max()
        .unwrap()
}

#[test]
fn a_crash_within_a_checkpoint_loses_nothing() {
    let steps = steps(&mixed());
    let limits = LdbLimits { wal_soft_limit: 1, ..LdbLimits::default() };
    for point in [Point::Nudged, Point::Backfilled, Point::Cut] {
        for nth in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            let mut writer = open(dir.path(), &limits, Crash::at(point, nth)).unwrap();
            let crashed = apply_rest(&mut writer, &steps, 1).and_then(|()| {
                std::thread::sleep(Duration::from_millis(260));
                writer.work.checkpoint.run(&writer.setting.crash)
            });
            // The second time is the orderly stop's.
            let crashed = matches!(crashed, Err(Error::Crashed(at)) if at == point);
            assert!(crashed || nth == 1, "{point:?}");
            drop(writer);
            go_on(dir.path(), &steps, 100, Crash::default()).unwrap();
            assert_eq!(rows(dir.path()).len(), 5);
        }
    }
}

#[test]
fn a_reader_that_holds_the_wal_causes_one_switch_and_then_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&large(250));
    let mut writer = open(dir.path(), &limits(), Crash::default()).unwrap();
    apply_rest(&mut writer, &steps[..2], 100).unwrap();
    let hold = || {
        let reader = rusqlite::Connection::open(dir.path().join("ldb.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM fam___big").unwrap();
        reader
    };
    let first = hold();
    let mut second = None;
    let held = loop {
        let from = writer.standing().position.unwrap().seq.get();
        let from = usize::try_from(from).unwrap();
        if writer.health().switches == 1 && second.is_none() {
            second = Some(hold());
        }
        if from == steps.len() {
            panic!("nothing held it");
        }
        let outcome = writer.apply(&steps[from..=from], Ahead::More);
        assert!(largest_wal(dir.path()) <= HARD, "{}", largest_wal(dir.path()));
        if let Err(error) = outcome {
            break error;
        }
    };
    assert!(matches!(held, Error::Held { .. }), "{held:?}");
    assert_eq!((writer.health().condition, writer.health().generation), (Condition::Held, 2));
    writer.heal().unwrap();
    // What the first reader sees did not change.
    let seen: i64 =
        first.query_row("SELECT count(*) FROM fam___big", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 0);
    drop(second);
    apply_rest(&mut writer, &steps, 1).unwrap();
    assert_eq!((writer.health().condition, writer.health().switches), (Condition::Sound, 1));
}

/// A reader keeps its view for a while between its reads: longer than the shortest wait for readers, and always ends it.
#[test]
fn readers_that_go_on_cause_no_switch() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&large(250));
    let mut writer = open(dir.path(), &limits(), Crash::default()).unwrap();
    apply_rest(&mut writer, &steps[..2], 100).unwrap();
    let reader = rusqlite::Connection::open(dir.path().join("ldb.db")).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let views = std::thread::spawn(move || {
        let mut views = 0;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            reader.execute_batch("BEGIN; SELECT * FROM fam___big").unwrap();
            std::thread::sleep(Duration::from_millis(60));
            reader.execute_batch("COMMIT").unwrap();
            views += 1;
        }
        views
    });
    apply_rest(&mut writer, &steps, 1).unwrap();
    drop(stop);
    assert!(views.join().unwrap() > 1);
    assert_eq!((writer.health().condition, writer.health().switches), (Condition::Sound, 0));
}

#[test]
fn a_frame_larger_than_the_limit_passes_without_a_switch() {
    let dir = tempfile::tempdir().unwrap();
    let mut texts = large(250);
    texts.insert(2, "--- BEGIN".to_owned());
    texts.push("--- COMMIT".to_owned());
    let steps = steps(&texts);
    let mut writer = open(dir.path(), &limits(), Crash::default()).unwrap();
    apply_rest(&mut writer, &steps, 1000).unwrap();
    assert_eq!((writer.health().switches, writer.wal_bytes()), (0, 0));
}

/// Far behind the ledger's end, transactions are as large as they may be, which is less than the limit.
#[test]
fn large_rows_in_hand_do_not_pass_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&large(250));
    let mut writer = open(dir.path(), &limits(), Crash::default()).unwrap();
    for piece in steps.chunks(50) {
        writer.apply(piece, Ahead::InHand).unwrap();
        assert!(largest_wal(dir.path()) <= HARD, "{}", largest_wal(dir.path()));
    }
    writer.settle().unwrap();
    assert!(largest_wal(dir.path()) <= HARD, "{}", largest_wal(dir.path()));
    assert_eq!(writer.seq(), steps.last().unwrap().position.seq);
}
