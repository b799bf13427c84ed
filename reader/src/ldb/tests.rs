//! Which connections are kept, and which are let go; what happens when SQLite refuses for a moment.

use std::os::unix::fs::symlink;
use std::time::Duration;

use ledger::Seq;

use super::*;
use crate::layout::{CURRENT, LDB, generation_dir, word};
use crate::testing::TestLdb;

fn serve(test: &TestLdb, generation: u64, with_file: bool) {
    let name = generation_dir(generation);
    if with_file {
        std::fs::create_dir(test.dir().join(&name)).unwrap();
        let file = test.dir().join(&name).join(LDB);
        test.sql(&format!("VACUUM INTO '{}'", file.display())).unwrap();
    }
    symlink(&name, test.dir().join("next")).unwrap();
    std::fs::rename(test.dir().join("next"), test.dir().join(CURRENT)).unwrap();
    test.set_word(word::GENERATION, generation).unwrap();
}

/// The generations that connections are open to.
fn open(ldb: &Ldb) -> Vec<u64> {
    let slots = process::slots(ldb.id());
    slots.iter().filter_map(|slot| slot.lock().as_ref().map(|open| open.generation)).collect()
}

#[test]
fn a_thread_has_one_connection_and_takes_it_along() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    for _ in 0..3 {
        ldb.clone().seq().unwrap();
        assert_eq!(open(&ldb), [1]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                ldb.seq().unwrap();
                assert_eq!(open(&ldb), [1, 1]);
            });
        });
        // The thread's destructors may still run after it was joined.
        while open(&ldb).len() > 1 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_read_within_a_read_has_a_connection_of_its_own() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    ldb.read(|_| {
        ldb.seq()?;
        assert_eq!(process::slots(ldb.id()).len(), 2);
        Ok(())
    })
    .unwrap();
    ldb.read(|_| ldb.seq()).unwrap();
    assert_eq!(open(&ldb), [1, 1]);
}

#[test]
fn no_connection_to_a_replaced_file_is_kept() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    serve(&test, 2, true);
    assert_eq!(ldb.seq().unwrap().get(), 0);
    assert_eq!((open(&ldb), ldb.stats().switches), (vec![2], 1));
    serve(&test, 3, false);
    // Goes on from what it has.
    ldb.seq().unwrap();
    assert_eq!(open(&ldb), [2]);
    // Others find nothing.
    assert!(std::thread::scope(|scope| scope.spawn(|| ldb.seq()).join().unwrap()).is_err());
}

#[test]
fn a_thread_that_reads_no_more_does_not_keep_a_replaced_file() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    serve(&test, 2, true);
    // This thread has the first one open, and another one finds the second.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ldb.seq().unwrap();
            assert_eq!(open(&ldb), [2]);
        });
    });
    assert_eq!(ldb.seq().unwrap().get(), 0);
}

#[test]
fn a_replaced_file_is_kept_until_the_next_has_answered() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    serve(&test, 2, false);
    process::follow();
    assert_eq!(open(&ldb), [1], "closed before another file has answered");
    serve(&test, 3, true);
    process::follow();
    assert!(open(&ldb).is_empty(), "{:?} are open", open(&ldb));
    ldb.seq().unwrap();
    process::follow();
    assert_eq!(open(&ldb), [3]);
}

#[test]
fn a_view_of_ones_own_outlives_a_switch_that_others_follow() {
    let test = TestLdb::new().unwrap();
    test.table("billing", "limits", &[("id", ledger::ColumnType::Integer)], &["id"]).unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let billing = ldb.family("billing").unwrap();
    let looked: Result<_, Error> = billing.view_for(Duration::from_secs(60), |view| {
        serve(&test, 2, true);
        std::thread::scope(|scope| scope.spawn(|| ldb.seq()).join().unwrap())?;
        process::follow();
        view.row("limits", &[1.into()])
    });
    assert!(looked.unwrap().is_none());
    process::follow();
    assert!(open(&ldb).is_empty(), "the view is over");
}

#[test]
fn no_read_sees_an_older_state_than_a_read_within_the_one_before() {
    let test = TestLdb::new().unwrap();
    test.set_seq(Seq::new(1).unwrap()).unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let file = test.dir().join(generation_dir(1)).join(LDB);
    let writer = rusqlite::Connection::open(file).unwrap();
    for seq in 2..10_u64 {
        ldb.seq().unwrap();
        // The agent says so in a moment.
        let sql = format!("UPDATE _ldb_seq SET seq = {seq}");
        writer.execute(&sql, []).unwrap();
        let within = ldb.read(|_| ldb.seq()).unwrap();
        assert!(ldb.seq().unwrap() >= within);
    }
}

#[test]
fn connections_are_closed_with_the_last_clone() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let (id, slots) = (ldb.id(), process::slots(ldb.id()));
    let clone = ldb.clone();
    drop(ldb);
    assert!(slots[0].lock().is_some());
    drop(clone);
    assert!(slots[0].lock().is_none() && process::slots(id).is_empty());
}

#[test]
fn a_read_that_panics_leaves_a_connection_behind_that_works() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ldb.read::<()>(|_| panic!("in the middle")).ok();
    }));
    assert!(panicked.is_err());
    test.set_seq(Seq::new(7).unwrap()).unwrap();
    assert_eq!((ldb.seq().unwrap().get(), open(&ldb)), (7, vec![1]));
}

#[test]
fn what_sqlite_refuses_for_a_moment_is_tried_again() {
    use rusqlite::ffi;
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let refuse =
        |code: i32| Error::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    let check = |code: i32, times: u32| {
        let mut tries = 0;
        let outcome = ldb.read(|session| {
            tries += 1;
            if tries <= times { Err(refuse(code)) } else { crate::meta::seq(session.connection()) }
        });
        (outcome.is_ok(), tries)
    };
    for code in [264, 1288, 261, 5, 15, 14, 14 | (1 << 8)] {
        assert_eq!(check(code, 1), (true, 2), "{code}");
        assert_eq!(check(code, 5), (true, 6), "{code}");
    }
    assert_eq!(ldb.stats().reopens, 0);
    assert_eq!(check(264, 20), (true, 21));
    assert!(ldb.stats().reopens > 0);
    // What is wrong stays wrong.
    for code in [1, 8, 10, 11, 26] {
        assert_eq!(check(code, 1), (false, 1), "{code}");
        assert_eq!(check(code, 0), (true, 1), "{code}");
    }
}
