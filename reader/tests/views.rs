//! Views: how old they may be, what ends them, and what several reads of one state see.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ledger::{ColumnType, Value};
use reader::layout::word;
use reader::testing::TestLdb;
use reader::{Error, Family, Ldb};
use rusqlite::Connection;

/// On a busy machine a thread may not run for a while.
const LONG: Duration = Duration::from_secs(30);

fn pairs(count: i64) -> (TestLdb, Family) {
    let test = TestLdb::new().unwrap();
    let columns = [("id", ColumnType::Integer), ("n", ColumnType::Integer)];
    test.table("pair", "rows", &columns, &["id"]).unwrap();
    for id in 0..count {
        test.insert("pair", "rows", &[Value::Integer(id), Value::Integer(0)]).unwrap();
    }
    let family = Ldb::open(test.dir()).unwrap().family("pair").unwrap();
    (test, family)
}

fn number(family: &Family) -> i64 {
    family.with_row("rows", &[0.into()], |row| row.integer(1).unwrap()).unwrap().unwrap()
}

/// Writes without telling anybody, as an agent does for a moment.
fn write_silently(test: &TestLdb, number: i64) {
    let file = Connection::open(test.dir().join("ldb.db")).unwrap();
    file.execute("UPDATE pair___rows SET n = ?1", [number]).unwrap();
}

/// How many of these frames of the WAL SQLite could copy to the file: all, once no view needs an old state.
fn checkpoint(test: &TestLdb) -> bool {
    let file = Connection::open(test.dir().join("ldb.db")).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let (all, done) = file.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], row).unwrap();
    all == done
}

fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

#[test]
fn a_commit_that_is_told_is_seen_at_once_and_one_that_is_not_soon() {
    let (test, family) = pairs(1);
    for number_written in 1..200 {
        test.sql(&format!("UPDATE pair___rows SET n = {number_written}")).unwrap();
        assert_eq!(number(&family), number_written);
    }
    write_silently(&test, 1000);
    // 50 ms by design; this machine may be busy.
    assert!(within(Duration::from_secs(2), || number(&family) == 1000));
}

#[test]
fn an_idle_view_is_ended_by_the_timer_also_in_a_thread_that_sleeps() {
    let (test, family) = pairs(1);
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let barrier = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let (family, barrier) = (&family, &barrier);

        scope.spawn(move || {
            number(family);
            barrier.wait();
            receive.recv().ok();
        });
        barrier.wait();
        write_silently(&test, 1);
        assert!(within(Duration::from_secs(2), || checkpoint(&test)), "the view is still open");
        drop(send);
    });
}

#[test]
fn reads_of_one_view_see_one_state() {
    let (test, family) = pairs(2);
    let seen = family.view_for(LONG, |view| {
        let first = view.with_row("rows", &[0.into()], |row| row.integer(1).unwrap())?;
        test.sql("UPDATE pair___rows SET n = 5").unwrap();
        // Reads outside of it go on as ever.
        assert_eq!(number(&family), 5);
        let second = view.get::<(i64, i64)>("rows", &[1.into()]);
        assert!(matches!(second, Err(Error::Decode { .. })), "a row is no tuple");
        let keys: [&[_]; 3] = [&[1.into()], &[7.into()], &[0.into()]];
        let rows = view.rows_by_keys("rows", &keys)?;
        assert!(rows[1].is_none());
        assert!(rows.iter().flatten().all(|row| row.get("n") == Some(&Value::Integer(0))));
        assert_eq!(view.rows("rows", &[])?.len(), 2);
        Ok::<_, Error>(first)
    });
    assert_eq!(seen.unwrap(), Some(0));
    assert_eq!(number(&family), 5);
}

#[test]
fn a_view_ends_when_its_time_is_over_and_lets_go_while_the_program_sleeps() {
    let (test, family) = pairs(1);
    let outcome = family.view_for(Duration::from_millis(500), |view| {
        view.row("rows", &[0.into()])?;
        write_silently(&test, 1);
        let busy = !checkpoint(&test);
        assert!(within(Duration::from_secs(2), || checkpoint(&test)), "never let go");
        assert!(busy, "it was not held");
        view.row("rows", &[0.into()]).map(|_| ())
    });
    let error: Error = outcome.unwrap_err();
    assert!(error.is_view_ended() && error.is_retryable(), "{error}");
    assert_eq!(number(&family), 1);
}

#[test]
fn a_long_list_in_a_view_ends_with_it() {
    let (_test, family) = pairs(3);
    let mut rows = 0;
    let outcome = family.view_for(Duration::from_millis(400), |view| {
        view.each("rows", &[], |_| {
            rows += 1;
            std::thread::sleep(Duration::from_millis(500));
            ControlFlow::Continue(())
        })
    });
    assert!(matches!(outcome, Err(Error::ViewEnded { .. })) && rows == 1, "{rows}");
}

#[test]
fn views_of_a_file_that_nobody_keeps_end_with_their_reads() {
    let (test, _) = pairs(2);
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("ldb.db");
    test.sql(&format!("VACUUM INTO '{}'", file.display())).unwrap();
    let writer = Connection::open(&file).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    let family = Ldb::open(&file).unwrap().family("pair").unwrap();
    for number_written in 1..100 {
        writer.execute("UPDATE pair___rows SET n = ?1", [number_written]).unwrap();
        assert_eq!(number(&family), number_written);
    }
    family
        .view_for(LONG, |view| {
            view.row("rows", &[0.into()])?;
            writer.execute("UPDATE pair___rows SET n = 0", []).unwrap();
            let rows = view.rows("rows", &[])?;
            assert!(rows.iter().all(|row| row.get("n") == Some(&Value::Integer(99))));
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(number(&family), 0);
}

#[test]
fn a_sequence_that_stands_still_is_renewed_when_the_incarnation_rises() {
    let (test, family) = pairs(1);
    number(&family);
    write_silently(&test, 3);
    test.set_word(word::INCARNATION, 1000).unwrap();
    assert_eq!(number(&family), 3);
}

/// Each thread has a connection; none sees a pair of rows torn, none goes back.
#[test]
fn many_threads_read_while_rows_change() {
    let (test, family) = pairs(2);
    let end = Instant::now() + Duration::from_millis(1500);
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let family = family.clone();
            scope.spawn(move || {
                let (mut last, mut reads) = (0, 0_u32);
                while Instant::now() < end {
                    let rows = if thread % 2 == 0 {
                        family.all("rows").unwrap()
                    } else {
                        family
                            .view_for(LONG, |view| {
                                let keys: [&[_]; 2] = [&[0.into()], &[1.into()]];
                                view.rows_by_keys("rows", &keys)
                                    .map(|rows| rows.into_iter().flatten().collect())
                            })
                            .unwrap()
                    };
                    let rows: Vec<_> = rows.iter().map(|row| row.values()[1].clone()).collect();
                    assert_eq!(rows[0], rows[1], "torn");
                    let Value::Integer(number) = rows[0] else { panic!("{rows:?}") };
                    assert!(number >= last, "back from {last} to {number}");
                    (last, reads) = (number, reads + 1);
                }
                assert!(reads > 10 && last > 10, "{reads} reads up to {last}");
            });
        }
        let mut number = 0;
        while Instant::now() < end {
            number += 1;
            test.sql(&format!("UPDATE pair___rows SET n = {number}")).unwrap();
        }
    });
}
