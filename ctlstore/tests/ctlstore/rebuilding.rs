//! `ctlstore agent rebuild` beside a running agent: what it prints, how it ends, and who is not heard.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::program::{self, Ended, Program};

use crate::running::{Folder, path, plan};

const NOBODY: &str = "65534";

async fn rebuild(folder: &Folder, more: &[&str]) -> Ended {
    let ldb = folder.ldb();
    let args = [&["agent", "rebuild", "--ldb-dir", path(&ldb)], more].concat();
    Program::run(&args).await.unwrap()
}

#[tokio::test]
async fn a_rebuild_shows_its_course_and_says_how_it_ended() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    dev.register();
    let seq = dev.write(&plan("first", 5)).unwrap();
    folder.read(&["wait", "--seq", &seq.to_string()]).await;
    let before = reader::Ldb::open(folder.ldb()).unwrap();
    let (generation, want) = (before.generation(), folder.get("plans", &["first"]).await);

    let ended = rebuild(&folder, &[]).await;
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.starts_with("done: the "), "{ended:?}");
    assert_eq!(folder.get("plans", &["first"]).await, want);
    let after = reader::Ldb::open(folder.ldb()).unwrap();
    assert!(after.generation() > generation, "{} is still served", after.generation());
    let seq = dev.write(&plan("later", 1)).unwrap();
    after.at_least(ledger::Seq::try_from(seq).unwrap(), Duration::from_secs(20)).unwrap();

    let ended = rebuild(&folder, &["--output", "json"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["phase"], &last["ok"]), (&"done".into(), &true.into()), "{ended:?}");

    // With ctldb away nobody knows whether another one would be as good.
    let ctldb = folder.data().join("ctldb.sqlite");
    std::fs::rename(&ctldb, ctldb.with_extension("away")).unwrap();
    let ended = rebuild(&folder, &[]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("ctldb cannot be asked"), "{ended:?}");
    std::fs::rename(ctldb.with_extension("away"), &ctldb).unwrap();
    assert_eq!(folder.get("plans", &["first"]).await, want);

    dev.program.signal(Signal::SIGTERM).unwrap();
    dev.program.end(Duration::from_secs(30)).await.unwrap();
    let ended = rebuild(&folder, &[]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is one running on this directory"), "{ended:?}");
}

#[tokio::test]
async fn another_user_is_not_heard() {
    let drop_rights = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"];
    let as_nobody = |program: &std::ffi::OsStr| {
        let mut command = Command::new("setpriv");
        command.args(drop_rights).arg(program);
        command
    };
    // Whoever runs the tests without these rights is somebody else's agent's user nowhere.
    if !as_nobody("true".as_ref()).status().is_ok_and(|status| status.success()) {
        return;
    }
    let folder = Folder::new();
    let mut dev = folder.start().await;
    let home = folder.data().parent().unwrap().to_owned();
    for dir in [home.clone(), folder.data()] {
        std::fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    }
    // The folder that it was built in may be nobody's to enter.
    let copy = home.join("ctlstore");
    std::fs::copy(program::ctlstore().unwrap(), &copy).unwrap();
    let ask = |copy: &std::path::Path| {
        let mut command = as_nobody(copy.as_os_str());
        command.args(["agent", "rebuild", "--ldb-dir", path(&folder.ldb())]).output().unwrap()
    };
    let refused = ask(&copy);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("are you the user that it runs as?"), "{text}");

    // Nor is one who gets past the socket's mode.
    std::fs::set_permissions(folder.ldb().join(".control.sock"), Permissions::from_mode(0o666))
        .unwrap();
    let refused = ask(&copy);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("only the user that the agent runs as may ask"), "{text}");
    assert_eq!(reader::Ldb::open(folder.ldb()).unwrap().generation(), 1);
    dev.program.signal(Signal::SIGTERM).unwrap();
    dev.program.end(Duration::from_secs(30)).await.unwrap();
}
