//! `ctlstore wait`: what an init container runs.

use std::time::Duration;

use ledger::{ColumnType, Value};
use nix::sys::signal::Signal;
use reader::testing::TestLdb;
use testkit::program::Program;

use crate::running::{Folder, path};

#[tokio::test]
async fn it_ends_when_the_sequence_is_there_and_fails_when_it_does_not_come() {
    let ldb = TestLdb::new().unwrap();
    ldb.table("billing", "rates", &[("id", ColumnType::Integer)], &["id"]).unwrap();
    let insert = |id| ldb.insert("billing", "rates", &[Value::Integer(id)]).unwrap();
    insert(1);
    let wait = ["wait", "--ldb", path(ldb.dir()), "--timeout"];
    let there = Program::run(&[&wait[..], &["1ms", "--seq", "1"]].concat()).await.unwrap();
    assert_eq!((there.code(), there.stdout.as_str()), (Some(0), "1\n"));

    let late = Program::run(&[&wait[..], &["50ms", "--seq", "2"]].concat()).await.unwrap();
    assert_eq!((late.code(), late.stdout.as_str()), (Some(3), ""));
    assert_eq!(late.stderr, "ctlstore: 2 was not reached within 50ms: the LDB is at 1\n");

    let args = [&wait[..], &["60s", "--seq", "2", "--output", "json"]].concat();
    let mut waiting = Program::ctlstore(&args).unwrap();
    insert(2);
    let ended = waiting.end(Duration::from_secs(30)).await.unwrap();
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), "{\"seq\":2}\n"));
}

#[tokio::test]
async fn it_may_come_before_the_agent() {
    let folder = Folder::new();
    let ldb = folder.ldb();
    let args = ["wait", "--seq", "2", "--timeout", "60s", "--ldb", path(&ldb)];
    let mut waiting = Program::ctlstore(&args).unwrap();
    let nobody = folder.read(&["wait", "--seq", "2", "--timeout", "20ms"]).await;
    assert_eq!(nobody.code(), Some(3), "{nobody:?}");
    assert!(nobody.stderr.contains("within 20ms: no LDB at "), "{nobody:?}");
    let dev = folder.start().await;
    let ended = waiting.end(Duration::from_secs(30)).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    dev.program.signal(Signal::SIGTERM).unwrap();
}
