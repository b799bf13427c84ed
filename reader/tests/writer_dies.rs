//! The writer dies in the middle of a commit and leaves a torn index of the WAL behind, while threads read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ledger::{ColumnType, Value};
use reader::Ldb;
use reader::testing::TestLdb;

const CHILD: &str = "READER_TEST_WRITER";

#[test]
fn threads_escape_from_what_a_dead_writer_left() {
    if std::env::var_os(CHILD).is_some() {
        return write_until_killed();
    }
    let (mut writer, dir) = writer();
    let ldb = Ldb::open(&dir).unwrap();
    let read = || ldb.family("pair").and_then(|family| family.all("rows"));
    assert_eq!(read().unwrap().len(), 1);
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (mut slowest, end) =
                        (Duration::ZERO, Instant::now() + Duration::from_secs(2));
                    while Instant::now() < end {
                        let start = Instant::now();
                        assert_eq!(read().unwrap().len(), 1);
                        slowest = slowest.max(start.elapsed());
                    }
                    slowest
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        writer.kill().unwrap();
        writer.wait().unwrap();
        tear(&dir);
        for thread in threads {
            slowest = slowest.max(thread.join().unwrap());
        }
    });
    // Whoever kept its connections would be locked out for ever.
    assert!(slowest >= Duration::from_millis(15), "nothing was torn: {slowest:?}");
    assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A process with an LDB that it keeps open, and the LDB's directory.
fn writer() -> (Child, std::path::PathBuf) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "threads_escape_from_what_a_dead_writer_left", "--nocapture"]);
    let mut child = command.env(CHILD, "1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let dir = lines.find_map(|line| Some(line.split_once("LDB=")?.1.to_owned())).unwrap();
    (child, dir.into())
}

fn write_until_killed() {
    let test = TestLdb::new().unwrap();
    test.table("pair", "rows", &[("id", ColumnType::Integer)], &["id"]).unwrap();
    test.insert("pair", "rows", &[Value::Integer(1)]).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "LDB={}", test.dir().display()).unwrap();
    out.flush().unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// The second copy of the index's header is not the first, as between two writes of a commit. In a process of its own:
/// closing the file in ours would drop our locks.
fn tear(dir: &std::path::Path) {
    let shm = dir.join("gen-1").join("ldb.db-shm");
    let script = r#"printf '\377' | dd of="$0" bs=1 seek=60 conv=notrunc status=none"#;
    let status = Command::new("sh").args(["-c", script]).arg(shm).status().unwrap();
    assert!(status.success());
}
