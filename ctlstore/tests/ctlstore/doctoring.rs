//! `ctlstore doctor` on a directory that a real agent made: well, and damaged in each way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::eventually;
use testkit::program::{Ended, Program};

use crate::running::{Folder, batch, path};

async fn doctor(ldb: &Path, more: &[&str]) -> Ended {
    let args = ["doctor", "--ldb", path(ldb), "--output", "json"];
    Program::run(&[&args[..], more].concat()).await.unwrap()
}

/// The findings that are not well, as `VERDICT check`.
fn ill(ended: &Ended) -> Vec<String> {
    let all: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let checks = all["checks"].as_array().unwrap().iter();
    let ill = checks.filter(|check| check["verdict"] != "OK");
    let words = |value: &Value| value.as_str().unwrap().to_owned();
    ill.map(|check| {
        assert!(check["cure"].is_string(), "{check}");
        format!("{} {}", words(&check["verdict"]), words(&check["check"]))
    })
    .collect()
}

#[tokio::test]
async fn a_node_that_is_well_is_told_so_and_is_not_disturbed() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    dev.register();
    let seq = dev.write(&batch()).unwrap();
    folder.read(&["wait", "--seq", &seq.to_string()]).await;
    let (url, executive) = (folder.url_file(), format!("http://{}", dev.executive));
    let more = ["--ctldb-url-file", path(&url), "--executive-url", &executive];
    let well = eventually(Duration::from_secs(30), async || {
        let ended = doctor(&folder.ldb(), &more).await;
        anyhow::ensure!(ill(&ended).is_empty() && ended.code() == Some(0), "{ended:?}");
        Ok(ended)
    });
    let well: Value = serde_json::from_str(&well.await.unwrap().stdout).unwrap();
    assert_eq!(well["verdict"], "OK");
    let text = well.to_string();
    for words in ["it lives", "0 entries after the LDB", "is ready", "the agent answers: following"]
    {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    // Many looks; the agent applies and readers read on, on the same file.
    let ldb = reader::Ldb::open(folder.ldb()).unwrap();
    for round in 0..5 {
        doctor(&folder.ldb(), &[]).await;
        let seq = dev.write(&crate::running::plan("again", round)).unwrap();
        ldb.at_least(ledger::Seq::try_from(seq).unwrap(), Duration::from_secs(20)).unwrap();
    }
    assert_eq!(ldb.generation(), 1, "no switch was needed");

    let lines = Program::run(&["doctor", "--ldb", path(&folder.ldb())]).await.unwrap();
    assert_eq!((lines.code(), lines.stderr.as_str()), (Some(0), ""), "{lines:?}");
    assert!(lines.stdout.lines().all(|line| line.starts_with("OK    ")), "{lines:?}");
    dev.program.signal(Signal::SIGTERM).unwrap();
    dev.program.end(Duration::from_secs(30)).await.unwrap();
}

/// A copy of a directory, links and modes included.
fn copy(ldb: &Path, to: &Path) -> PathBuf {
    let done = Command::new("cp").arg("-a").arg(ldb).arg(to).status().unwrap();
    assert!(done.success());
    to.to_owned()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn word(ldb: &Path, index: usize, value: u64) {
    let mut page = fs::read(ldb.join("ctl")).unwrap();
    page[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
    fs::write(ldb.join("ctl"), page).unwrap();
}

fn relink(link: &Path, target: &str) {
    fs::remove_file(link).unwrap();
    symlink(target, link).unwrap();
}

#[tokio::test]
async fn each_damage_is_named_with_its_cure() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    dev.register();
    let seq = dev.write(&batch()).unwrap();
    folder.read(&["wait", "--seq", &seq.to_string()]).await;
    dev.program.signal(Signal::SIGTERM).unwrap();
    dev.program.end(Duration::from_secs(30)).await.unwrap();

    let copies = tempfile::tempdir().unwrap();
    let mut made = 0;
    let mut check = async |damage: &dyn Fn(&Path), wanted: &str, words: &str| {
        made += 1;
        let ldb = copy(&folder.ldb(), &copies.path().join(made.to_string()));
        damage(&ldb);
        let ended = doctor(&ldb, &[]).await;
        let found = ill(&ended);
        assert!(found.contains(&wanted.to_owned()), "no {wanted:?}: {ended:?}");
        assert!(ended.stdout.contains(words), "no {words:?}: {ended:?}");
        let fails = found.iter().any(|finding| finding.starts_with("FAIL"));
        assert_eq!(ended.code(), Some(if fails { 3 } else { 0 }), "{ended:?}");
    };
    let served = |file: &'static str| move |ldb: &Path| ldb.join("gen-1").join(file);
    let (database, wal, shm) = (served("ldb.db"), served("ldb.db-wal"), served("ldb.db-shm"));

    // The agent is stopped in all of them.
    check(&|ldb| word(ldb, 4, 1_700_000_000_000), "FAIL agent", "start the agent").await;
    check(&|ldb| word(ldb, 4, 4_000_000_000_000), "WARN agent", "clocks differ").await;
    check(&|ldb| mode(ldb, 0o700), "FAIL directory", "chmod 0755").await;
    check(&|ldb| mode(ldb, 0o777), "WARN directory", "can serve wrong rows").await;
    check(&|ldb| mode(&database(ldb), 0o600), "FAIL files", "chmod 0644").await;
    check(&|ldb| chown(wal(ldb), Some(4711), None).unwrap(), "FAIL owner", "chown -R").await;
    check(&|ldb| fs::remove_file(shm(ldb)).unwrap(), "FAIL files", "ldb.db-shm is not there").await;
    check(
        &|ldb| fs::remove_file(ldb.join("ctl")).unwrap(),
        "FAIL control page",
        "no agent has served",
    )
    .await;
    check(
        &|ldb| fs::write(ldb.join("ctl"), "x").unwrap(),
        "FAIL control page",
        "is no control page",
    )
    .await;
    check(&|ldb| word(ldb, 1, 7), "FAIL versions", "layout 7").await;
    check(&|ldb| word(ldb, 6, 7), "FAIL versions", "rebuild programs").await;
    check(&|ldb| word(ldb, 2, 7), "WARN links", "the control page says 7").await;
    check(&|ldb| relink(&ldb.join("current"), "gen-9"), "FAIL links", "where no ldb.db is").await;
    check(&|ldb| relink(&ldb.join("current"), "/etc"), "FAIL links", "leads to /etc").await;
    check(&|ldb| relink(&ldb.join("ldb.db"), "/etc/passwd"), "FAIL links", "other rows").await;
    let unserved = |ldb: &Path| {
        // While an agent lives, one more is no news.
        word(ldb, 4, 1_700_000_000_000);
        fs::create_dir(ldb.join("gen-7")).unwrap();
    };
    check(&unserved, "WARN leftovers", "1 generations").await;
    check(&|ldb| fs::write(ldb.join("ctl.new"), "").unwrap(), "WARN leftovers", "ctl.new").await;
    let grown = |ldb: &Path| {
        fs::File::options().write(true).open(wal(ldb)).unwrap().set_len(13 << 20).unwrap()
    };
    check(&grown, "FAIL wal", "hard limit of 12.0 MiB").await;
    let garbled = |ldb: &Path| {
        fs::write(database(ldb), "no database, but long enough to be read as one").unwrap()
    };
    check(&garbled, "FAIL rows", "cannot be read").await;
    let dead_socket = |ldb: &Path| {
        drop(fs::remove_file(ldb.join("agent.sock")));
        drop(std::os::unix::net::UnixListener::bind(ldb.join("agent.sock")).unwrap());
    };
    check(&dead_socket, "FAIL read api", "nobody answers").await;
    check(&|ldb| fs::remove_dir_all(ldb).unwrap(), "FAIL directory", "is not there").await;
}

#[tokio::test]
async fn those_who_cannot_be_reached_are_named_and_nothing_secret_is() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    let home = tempfile::tempdir().unwrap();
    let url = home.path().join("url");
    fs::write(&url, "mysql://agent:hunter2hunter2@127.0.0.1:1/ctldb").unwrap();
    let store = home.path().join("store");
    fs::create_dir(&store).unwrap();
    let store = format!("file://{}", store.display());
    let more = [
        ["--ctldb-url-file", path(&url)],
        ["--executive-url", "http://127.0.0.1:1"],
        ["--snapshot-url", &store],
    ];
    let ended = doctor(&folder.ldb(), &more.concat()).await;
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let found = ill(&ended);
    for wanted in ["FAIL ctldb", "FAIL executive", "WARN snapshots"] {
        assert!(found.contains(&wanted.to_owned()), "no {wanted:?}: {ended:?}");
    }
    assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
    assert!(ended.stderr.contains("checks fail"), "{ended:?}");
    dev.program.kill().unwrap();
}
