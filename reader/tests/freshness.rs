//! How new the data is: staleness, one's own writes, the next commit.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ledger::{ColumnType, Mark, Seq, Value};
use reader::testing::TestLdb;
use reader::{Error, Ldb};

const LONG: Duration = Duration::from_secs(30);
const UUID: &str = "0d9e7a51-1c5c-4c4e-9c3a-2f8a5a7f6b01";

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

fn test() -> (TestLdb, Ldb) {
    let test = TestLdb::new().unwrap();
    test.table("fam", "tbl", &[("id", ColumnType::Integer)], &["id"]).unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    (test, ldb)
}

/// Puts the LDB at a position, as an agent does: the file, then the page.
fn stand(test: &TestLdb, history: &str, number: u64, digit: &str) {
    let digest = digit.repeat(64);
    test.sql(&format!(
        "REPLACE INTO _ldb_meta VALUES(1, 1, '{history}', {number}, x'{digest}', x'{digest}')"
    ))
    .unwrap();
    test.set_seq(seq(number)).unwrap();
}

fn mark(history: &str, number: u64, digit: &str) -> Mark {
    format!("{history}.{number}.{}", digit.repeat(64)).parse().unwrap()
}

#[test]
fn one_waits_for_ones_own_write() {
    let (test, ldb) = test();
    stand(&test, UUID, 4, "4");
    for goal in [mark(UUID, 4, "4"), mark(UUID, 3, "3"), mark(UUID, 1, "f")] {
        ldb.at_least(goal, Duration::ZERO).unwrap();
    }
    let position = ldb.position().unwrap().unwrap();
    ldb.at_least(position, Duration::ZERO).unwrap();
    ldb.at_least(seq(4), Duration::MAX).unwrap();

    let error = ldb.at_least(mark(UUID, 5, "5"), Duration::from_millis(20)).unwrap_err();
    assert!(error.is_timeout() && error.is_retryable() && !error.is_other_history(), "{error}");
    assert_eq!(error.to_string(), "the LDB did not reach 5 within 20ms: it is at 4");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ldb.at_least(mark(UUID, 6, "6"), LONG));
        stand(&test, UUID, 5, "5");
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        stand(&test, UUID, 6, "6");
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_position_on_another_way_is_an_error_at_once() {
    let (test, ldb) = test();
    stand(&test, UUID, 4, "4");
    let check = |goal: Mark| {
        let start = Instant::now();
        let error = ldb.at_least(goal, LONG).unwrap_err();
        assert!(error.is_forked() && !error.is_retryable(), "{error}");
        assert!(start.elapsed() < LONG / 2, "it hung");
        error.to_string()
    };
    // The same place, another entry.
    check(mark(UUID, 4, "a"));
    // Another history, which the LDB would have to be in by now.
    let text = check(mark("legacy", 3, "3"));
    assert!(text.contains("3 of history legacy") && text.contains(UUID), "{text}");
    // A later history that it may still follow into.
    let later = "1d9e7a51-1c5c-4c4e-9c3a-2f8a5a7f6b01";
    let error = ldb.at_least(mark(later, 9, "9"), Duration::ZERO).unwrap_err();
    assert!(error.is_timeout() && error.is_other_history(), "{error}");
    let text = format!(
        "the LDB did not reach 9 within 0ns: it is at 4, in history {UUID} and not {later}: "
    );
    assert!(error.to_string().starts_with(&text), "{error}");
    stand(&test, later, 9, "9");
    ldb.at_least(mark(later, 9, "9"), Duration::ZERO).unwrap();
}

#[test]
fn a_read_can_refuse_an_ldb_that_is_behind() {
    let (test, ldb) = test();
    let fresh = ldb.family("fam").unwrap().max_staleness(Duration::from_secs(60));
    let error = fresh.row("tbl", &[1.into()]).unwrap_err();
    assert!(matches!(error, Error::Stale { by: Duration::MAX, .. }), "{error:?}");
    test.insert("fam", "tbl", &[Value::Integer(1)]).unwrap();
    assert!(fresh.row("tbl", &[1.into()]).unwrap().is_some());

    let old = "UPDATE _ldb_last_update SET timestamp = '2020-01-01 00:00:00+00:00'";
    test.sql(old).unwrap();
    for error in [
        fresh.row("tbl", &[1.into()]).unwrap_err(),
        fresh.all("tbl").unwrap_err(),
        fresh.scan("tbl").next().unwrap().unwrap_err(),
        fresh.view(|_| Ok::<_, Error>(())).unwrap_err(),
    ] {
        let Error::Stale { by, limit } = error else { panic!("{error:?}") };
        assert!(by > Duration::from_secs(100_000_000) && limit == Duration::from_secs(60));
    }
    // Only where somebody asked.
    assert!(ldb.family("fam").unwrap().row("tbl", &[1.into()]).unwrap().is_some());
    assert!(ldb.agent_seen().unwrap() < Duration::from_secs(600));
}

#[test]
fn the_next_commit_wakes_those_who_wait() {
    let (test, ldb) = test();
    assert_eq!(ldb.changed(seq(0), Duration::from_millis(10)).unwrap(), None);
    std::thread::scope(|scope| {
        let follow = || {
            let mut seen = seq(0);
            while seen < seq(50) {
                let next = ldb.changed(seen, LONG).unwrap().unwrap();
                assert!(next > seen);
                seen = next;
            }
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(follow)).collect();
        for number in 1..=50 {
            std::thread::sleep(Duration::from_millis(1));
            test.set_seq(seq(number)).unwrap();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

struct Counted(AtomicU32, std::thread::Thread);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.unpark();
    }
}

#[test]
fn the_future_is_woken_by_a_commit_and_by_nothing_else() {
    let (test, ldb) = test();
    let counted = Arc::new(Counted(AtomicU32::new(0), std::thread::current()));
    let waker = Waker::from(Arc::clone(&counted));
    let mut context = Context::from_waker(&waker);
    let mut first = pin!(ldb.changed_async(seq(0)));
    let mut second = pin!(ldb.changed_async(seq(0)));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(counted.0.load(Ordering::SeqCst), 0, "a busy loop");
    test.set_seq(seq(7)).unwrap();
    let start = Instant::now();
    while counted.0.load(Ordering::SeqCst) < 2 {
        std::thread::park_timeout(Duration::from_millis(100));
        assert!(start.elapsed() < LONG, "nobody woke it");
    }
    for future in [first.as_mut(), second.as_mut()] {
        assert!(matches!(future.poll(&mut context), Poll::Ready(Ok(now)) if now == seq(7)));
    }
}

#[test]
fn a_file_without_a_control_page_is_looked_at_now_and_then() {
    let (test, _) = test();
    test.set_seq(seq(1)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("ldb.db");
    test.sql(&format!("VACUUM INTO '{}'", file.display())).unwrap();
    let writer = rusqlite::Connection::open(&file).unwrap();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    let ldb = Ldb::open(&file).unwrap();
    assert_eq!(ldb.agent_seen(), None);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| (ldb.changed(seq(1), LONG), ldb.at_least(seq(3), LONG)));
        for number in [2, 3] {
            std::thread::sleep(Duration::from_millis(20));
            writer.execute("UPDATE _ldb_seq SET seq = ?1", [number]).unwrap();
        }
        let (changed, reached) = waiting.join().unwrap();
        assert!(changed.unwrap().unwrap() >= seq(2));
        reached.unwrap();
    });
}
