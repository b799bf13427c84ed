//! Another user, who may write nothing there, reads through a read-only mount while the owner writes and replaces the
//! file: no error, no torn state, never backwards.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ledger::{ColumnType, Value};
use reader::testing::TestLdb;
use reader::{Ldb, layout};
use rusqlite::Connection;
use tempfile::TempDir;

const CHILD: &str = "READER_TEST_DIR";
const NOBODY: u32 = 65534;

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
    let program = for_everybody();
    let mut child = spawn(test.dir().as_os_str(), &program);
    let write = |number: u32| format!("BEGIN; UPDATE pair___rows SET n = {number}; COMMIT");
    let mut number = 0;
    let mut second: Option<Connection> = None;
    let (start, mut switched_at) = (Instant::now(), 0);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        number += 1;
        match &second {
            Some(second) => second.execute_batch(&write(number)).unwrap(),
            None => test.sql(&write(number)).unwrap(),
        }
        if second.is_none() && start.elapsed() > Duration::from_millis(700) {
            second = Some(replace(&test));
            switched_at = number;
        }
    };
    assert!(status.success(), "{status} after {number} writes");
    assert!(switched_at > 100 && number > switched_at + 100, "{number}, {switched_at}");
}

/// Serves a copy as the second generation, as an agent does.
fn replace(test: &TestLdb) -> Connection {
    let dir = test.dir().join(layout::generation_dir(2));
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join(layout::LDB);
    test.sql(&format!("VACUUM INTO '{}'", file.display())).unwrap();
    let second = Connection::open(&file).unwrap();
    second.pragma_update(None, "journal_mode", "wal").unwrap();
    second.execute_batch("UPDATE pair___rows SET n = n").unwrap();
    symlink(layout::generation_dir(2), test.dir().join("next")).unwrap();
    std::fs::rename(test.dir().join("next"), test.dir().join(layout::CURRENT)).unwrap();
    let ctl = std::fs::File::options().write(true).open(test.dir().join(layout::CTL)).unwrap();
    let offset = u64::try_from(layout::word::GENERATION * 8).unwrap();
    ctl.write_all_at(&2_u64.to_le_bytes(), offset).unwrap();
    second
}

fn child(dir: &OsStr) {
    let ldb = Ldb::open(dir).unwrap();
    let read = |ldb: &Ldb| {
        let rows = ldb.family("pair").unwrap().all("rows").unwrap();
        assert_eq!(rows[0].get("n"), rows[1].get("n"), "torn");
        match rows[0].get("n") {
            Some(Value::Integer(number)) => *number,
            other => panic!("{other:?}"),
        }
    };
    let end = Instant::now() + Duration::from_millis(2000);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (mut last, mut at_the_switch) = (0, None);
                while Instant::now() < end {
                    let number = read(&ldb);
                    assert!(number >= last, "backwards: {last}, then {number}");
                    last = number;
                    if ldb.generation() == 2 {
                        at_the_switch.get_or_insert(number);
                    }
                }
                assert!(at_the_switch.is_some_and(|number| last > number), "{at_the_switch:?}");
            });
        }
    });
}

/// A folder with a copy of this program that everybody may run: the folder of builds may lie in somebody's home.
fn for_everybody() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::copy(std::env::current_exe().unwrap(), dir.path().join("test")).unwrap();
    dir
}

/// Runs this test as a reader. Only root can make a mount and become another user; where it may not do the one or the
/// other, as in some containers, that part is left out, and anyone else reads as itself.
fn spawn(dir: &OsStr, program: &TempDir) -> Child {
    const MOUNT: &str = r#"mount --bind "$READER_TEST_DIR" "$READER_TEST_DIR" && mount -o remount,bind,ro "$READER_TEST_DIR" && ! touch "$READER_TEST_DIR/x" 2>/dev/null"#;
    let mounted = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &format!("{MOUNT} && {then}")]).env(CHILD, dir);
        command
    };
    let works = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    let exe = program.path().join("test");
    let drop_rights = format!("setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups");
    let mut command = if works(mounted(&format!("{drop_rights} true")).stderr(Stdio::null())) {
        let mut command = mounted(&format!(r#"exec {drop_rights} "$0" "$@""#));
        command.arg(exe);
        command
    } else {
        let mut command = Command::new(exe);
        if works(Command::new("true").uid(NOBODY).gid(NOBODY)) {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    command.args(["--exact", "reads_as_another_user_while_the_owner_writes", "--nocapture"]);
    command.env(CHILD, dir).stdout(Stdio::null()).spawn().unwrap()
}
