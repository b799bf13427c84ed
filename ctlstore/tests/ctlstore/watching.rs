//! `ctlstore watch`: what it prints, and how it ends.

use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::program::Program;

use crate::running::{Folder, path};

#[tokio::test]
async fn it_prints_changes_as_they_come_and_ends_by_ctrl_c() {
    let folder = Folder::new();
    let dev = folder.start().await;
    let ldb = folder.ldb();
    let url = format!("http://{}", dev.read);
    let ways = [["--ldb", path(&ldb)], ["--url", &url]];
    for way in ways {
        let args = [&["watch", "billing", "--after", "0"][..], &way].concat();
        let mut watch = Program::ctlstore(&args).unwrap();
        // Tables of the example, or, when the agent began above them, that they may have been missed.
        let line = watch.line(|line| {
            ["create", "reload"].iter().any(|op| line.contains(op)).then(|| line.to_owned())
        });
        let line = line.await.unwrap();
        assert!(line.contains("billing") || line.contains("read again"), "{line}");
        watch.signal(Signal::SIGINT).unwrap();
        let ended = watch.end(Duration::from_secs(10)).await.unwrap();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }
    dev.program.signal(Signal::SIGTERM).unwrap();
}

#[tokio::test]
async fn nonsense_and_nobody_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = path(folder.path()).to_owned();
    let nobody = Program::run(&["watch", "billing", "--ldb", &dir]).await.unwrap();
    assert_eq!(nobody.code(), Some(1));
    assert!(nobody.stderr.contains("cannot reach the agent at "), "{nobody:?}");
    let name = Program::run(&["watch", "no-such", "--ldb", &dir]).await.unwrap();
    assert_eq!(name.code(), Some(1));
    assert!(name.stderr.contains("no-such"), "{name:?}");
    let url = Program::run(&["watch", "billing", "--url", "https://x"]).await.unwrap();
    assert!(url.stderr.contains("write http://HOST:PORT"), "{url:?}");
    let both =
        Program::run(&["watch", "billing", "--url", "http://x", "--file", "y"]).await.unwrap();
    assert_eq!(both.code(), Some(2), "{both:?}");
}

#[tokio::test]
async fn who_has_seen_enough_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("change.log");
    let line =
        |seq| format!("{{\"seq\":{seq},\"op\":\"clear\",\"family\":\"fam\",\"table\":\"tbl\"}}\n");
    let start = "{\"seq\":0,\"op\":\"start\",\"format\":2,\"file\":1}\n".to_owned();
    let text: String = std::iter::once(start).chain((1..5000).map(line)).collect();
    std::fs::write(&log, text).unwrap();
    let shell = r#"set -o pipefail; "$0" watch fam --after 0 --file "$1" | head -n 1"#;
    let mut command = tokio::process::Command::new("bash");
    let program = testkit::program::ctlstore().unwrap();
    let command = command.args(["-c", shell]).arg(program).arg(&log).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(30), command.output()).await;
    let ended = ended.expect("it goes on for nobody").unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "1  clear  fam  tbl\n");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}
