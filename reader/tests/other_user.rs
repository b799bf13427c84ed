//! Another user, who may write nothing there, reads while the owner writes: no error, no torn state, never backwards.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ledger::{ColumnType, Value};
use reader::Ldb;
use reader::testing::TestLdb;

const CHILD: &str = "READER_TEST_DIR";

/// Two rows that one transaction writes, and threads that compare them.
#[test]
fn reads_as_another_user_while_the_owner_writes() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(&dir);
    }
    let test = TestLdb::new().unwrap();
    test.table("pair", "rows", &[("id", ColumnType::Integer), ("n", ColumnType::Integer)], &["id"])
        .unwrap();
    for id in [1, 2] {
        test.insert("pair", "rows", &[Value::Integer(id), Value::Integer(0)]).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reads_as_another_user_while_the_owner_writes", "--nocapture"]);
    command.env(CHILD, test.dir()).stdout(Stdio::null());
    if nobody_can_be_asked() {
        command.uid(65534).gid(65534);
    }
    let mut child = command.spawn().unwrap();
    let mut number = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        number += 1;
        test.sql(&format!("BEGIN; UPDATE pair___rows SET n = {number}; COMMIT")).unwrap();
    };
    assert!(status.success() && number > 100, "{status} after {number} writes");
}

fn child(dir: &std::ffi::OsStr) {
    let ldb = Ldb::open(dir).unwrap();
    let read = |ldb: &Ldb| {
        let rows = ldb.family("pair").unwrap().rows("rows", &[]).unwrap();
        assert_eq!(rows[0].get("n"), rows[1].get("n"), "torn");
        match rows[0].get("n") {
            Some(Value::Integer(number)) => *number,
            other => panic!("{other:?}"),
        }
    };
    let end = Instant::now() + Duration::from_millis(1500);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while Instant::now() < end {
                    let number = read(&ldb);
                    assert!(number >= last, "backwards: {last}, then {number}");
                    last = number;
                }
                assert!(last > 0, "no write was seen");
            });
        }
    });
}

/// Only root can become another user; anyone else reads as itself.
fn nobody_can_be_asked() -> bool {
    Command::new("true").uid(65534).gid(65534).status().is_ok_and(|status| status.success())
}
