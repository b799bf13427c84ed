//! What keeps the agent from writing while it runs: a lock of somebody else, a file system that became read-only, a file
//! that is damaged. Reads go on, the status says what it is and what to do, and all is well again without a restart.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::agent::args::LdbLimits;

use crate::agent::{Agent, SOON, config, request};
use crate::content;
use crate::faults::{BIG, Disk, big, is_in};
use crate::ledger::Ledger;

/// Another program that writes the file, and takes its time. It ends, and with it its lock, when it is dropped.
struct Locker(Child);

impl Locker {
    fn new(file: &Path) -> Self {
        let program = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", program]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut locker = Self(python.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(locker.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        locker
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The same directory, read-only, over itself. What is open stays as it is, as in a file system that meets an error.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn over(dir: &Path) -> Self {
        let mount = |options: &str, what: &Path| {
            let status = Command::new("mount").args(["-o", options]).args([what, dir]).status();
            assert!(status.unwrap().success(), "tests mount as root");
        };
        mount("bind", dir);
        let over = Self(dir.to_owned());
        mount("remount,bind,ro", dir);
        over
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Until the message of `ldb_trouble` has these words.
async fn says(agent: &Agent, words: &str) {
    let said = testkit::eventually(SOON, async || {
        let message = agent.enters("ldb_trouble").await;
        anyhow::ensure!(message.contains(words), "{message}");
        Ok(())
    });
    said.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_program_is_named_and_does_not_stop_changes_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[BIG, &big(0, 10)]);
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(2).await;

    let locker = Locker::new(&agent.dir.join("ldb.db"));
    ledger.append(&[big(1, 10)]);
    says(&agent, "another program locks the file").await;
    is_in(&agent, "failing").await;
    assert_eq!(request(agent.admin, "GET", "/readyz", "").await.status, 200);
    let metrics = request(agent.admin, "GET", "/metrics", "").await.body;
    assert!(metrics.contains("ctlstore_agent_state{state=\"ldb_trouble\"} 1"), "{metrics}");
    assert_eq!(agent.seq().get(), 2);
    drop(locker);
    agent.reaches(3).await;
    is_in(&agent, "sound").await;
    agent.enters("following").await;

    // One that stays: the file is replaced, and nobody waits for it any more.
    let before = agent.ldb().generation();
    let locker = Locker::new(&agent.dir.join("ldb.db"));
    ledger.append(&[big(2, 10)]);
    agent.reaches(4).await;
    assert!(agent.ldb().generation() > before);
    is_in(&agent, "sound").await;
    drop(locker);
    let ldb = agent.dir.clone();
    agent.stop().await;
    assert_eq!(content::of_ldb(&ldb), content::naive(&ledger.entries));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_file_system_is_named_and_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::new(dir.path(), 64);
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[BIG, &big(0, 10)]);
    let agent = Agent::start(&disk.0.join("ldb"), ledger.url()).await;
    agent.reaches(2).await;

    // Makes the agent open its file anew, and find that it can only read. It names the lock for a moment only.
    let locker = Locker::new(&agent.dir.join("ldb.db"));
    let read_only = ReadOnly::over(&disk.0);
    ledger.append(&[big(1, 10)]);
    says(&agent, "read-only: make it writable again").await;
    drop(locker);
    is_in(&agent, "failing").await;
    assert_eq!(request(agent.admin, "GET", "/readyz", "").await.status, 200);
    assert_eq!(agent.seq().get(), 2);
    drop(read_only);
    agent.reaches(3).await;
    is_in(&agent, "sound").await;
    agent.enters("following").await;
    let ldb = agent.dir.clone();
    agent.stop().await;
    assert_eq!(content::of_ldb(&ldb), content::naive(&ledger.entries));
}

/// All pages of rows, in a process of its own: this one has the file open in SQLite.
fn damage(file: &Path) {
    let program = "import os, sys
with open(sys.argv[1], 'r+b') as file:
    size = os.path.getsize(sys.argv[1])
    file.seek(8 * 4096)
    file.write(b'x' * (size - 8 * 4096))";
    let status = Command::new("python3").args(["-c", program]).arg(file).status();
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_and_another_file_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[BIG]);
    for id in 0..800 {
        ledger.append(&[big(id, 20_000)]);
    }
    let mut config = config(&dir.path().join("ldb"), ledger.url());
    config.ldb = LdbLimits { wal_soft_limit: 4096, ..LdbLimits::default() };
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(801).await;
    let file = agent.dir.join("gen-1/ldb.db");
    let cut = testkit::eventually(SOON, async || {
        let bytes = std::fs::metadata(agent.dir.join("gen-1/ldb.db-wal"))?.len();
        anyhow::ensure!(bytes < 4096, "the WAL has {bytes} bytes");
        Ok(())
    });
    cut.await.unwrap();
    damage(&file);
    let rows: Vec<_> = (0..800).map(|id| big(id, 30)).collect();
    ledger.append(&rows);
    let (mut seen, mut messages) = (BTreeSet::new(), String::new());
    let end = std::time::Instant::now() + SOON;
    loop {
        let status = agent.status().await;
        seen.insert(status["ldb"]["condition"].as_str().unwrap().to_owned());
        messages += status["message"].as_str().unwrap_or_default();
        if status["position"]["seq"] == ledger.head() && status["generation"] == 2 {
            break;
        }
        assert!(std::time::Instant::now() < end, "{seen:?} {messages} {status}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(seen.contains("rebuilding"), "{seen:?}");
    assert!(messages.contains("builds another one from the ledger"), "{messages}");
    is_in(&agent, "sound").await;
    agent.reaches(ledger.head()).await;
    let ldb = agent.dir.clone();
    agent.stop().await;
    assert_eq!(content::of_ldb(&ldb), content::naive(&ledger.entries));
}
