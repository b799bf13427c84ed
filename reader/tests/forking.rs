//! A process that forks: parent and child both read on, each with connections of its own. In a binary of its own, whose
//! one test forks while no other test reads.
#![allow(
    clippy::unwrap_used,
    clippy::exit,
    clippy::disallowed_methods,
    unsafe_code,
    reason = "a test fails by panicking; fork has no safe form, and its child must not return into the test harness"
)]

use std::time::Duration;

use ledger::{ColumnType, Seq, Value};
use reader::Ldb;
use reader::testing::TestLdb;

/// Runs this in a forked child, and says whether it held there.
fn in_child(holds: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs what it is given and ends without returning here.
    match unsafe { libc::fork() } {
        0 => {
            let held =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(holds)).unwrap_or(false);
            // SAFETY: ends the process at once, and runs no destructors of the parent's things.
            unsafe { libc::_exit(i32::from(!held)) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for our own child.
            unsafe { libc::waitpid(child, &mut status, 0) };
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
        }
    }
}

#[test]
fn parent_and_child_read_on() {
    let test = TestLdb::new().unwrap();
    test.table("fam", "tbl", &[("id", ColumnType::Integer)], &["id"]).unwrap();
    test.insert("fam", "tbl", &[Value::Integer(1)]).unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let family = ldb.family("fam").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Other threads are in the middle of reads and waits.
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(family.all("tbl").unwrap().len(), 1);
                }
            });
        }
        scope.spawn(|| ldb.changed(Seq::new(1).unwrap(), Duration::from_secs(60)).unwrap());
        for _ in 0..20 {
            // With a view of this thread open.
            family.row("tbl", &[1.into()]).unwrap().unwrap();
            let held = in_child(|| {
                let changed = ldb.changed(Seq::new(1).unwrap(), Duration::from_millis(5));
                let again = in_child(|| family.row("tbl", &[1.into()]).unwrap().is_some());
                let thread = std::thread::scope(|scope| {
                    scope.spawn(|| family.all("tbl").unwrap().len() == 1).join().unwrap()
                });
                changed.unwrap().is_none()
                    && again
                    && thread
                    && family.all("tbl").unwrap().len() == 1
            });
            assert!(held);
            assert_eq!(family.all("tbl").unwrap().len(), 1);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        test.set_seq(Seq::new(2).unwrap()).unwrap();
    });

    // In the middle of a borrowed row nothing can be closed, so the child may not read.
    let outcome = family.with_row("tbl", &[1.into()], |_| {
        in_child(|| {
            let error = ldb.seq().unwrap_err();
            matches!(error, reader::Error::ForkedInRead) && !error.is_retryable()
        })
    });
    assert_eq!(outcome.unwrap(), Some(true));
    assert!(family.row("tbl", &[1.into()]).unwrap().is_some());
}
