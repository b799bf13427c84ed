//! A disk that is full, while the agent applies and while it replaces the file: reads go on, the state says why, and all
//! is well again by itself when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ::agent::args::LdbLimits;
use testkit::plain::Plain;

use crate::agent::{Agent, SOON, config, request};
use crate::content;
use crate::ledger::Ledger;

pub(crate) const BIG: &str =
    "CREATE TABLE fam___big (\"id\" VARCHAR(191), \"text\" TEXT, PRIMARY KEY(\"id\"));";

pub(crate) fn big(id: u32, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!("REPLACE INTO fam___big (\"id\",\"text\") VALUES('{id}','{text}')")
}

/// A disk of its own; unmounted when it is dropped.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    pub(crate) fn new(dir: &Path, mebibytes: u32) -> Self {
        let disk = Self(dir.join("disk"));
        std::fs::create_dir(&disk.0).unwrap();
        disk.mount(&format!("size={mebibytes}m"));
        disk
    }

    fn grow(&self, mebibytes: u32) {
        self.mount(&format!("remount,size={mebibytes}m"));
    }

    fn mount(&self, options: &str) {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&self.0);
        assert!(command.status().unwrap().success(), "tests mount a small disk, as root");
    }

    /// Takes what is free, but for so much.
    fn fill(&self, left: u64) -> PathBuf {
        let stat = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.0).output().unwrap();
        let text = String::from_utf8(stat.stdout).unwrap();
        let (blocks, size) = text.trim().split_once(' ').unwrap();
        let free = blocks.parse::<u64>().unwrap() * size.parse::<u64>().unwrap();
        let path = self.0.join("filler");
        std::fs::write(&path, vec![1; usize::try_from(free - left).unwrap()]).unwrap();
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

pub(crate) async fn is_in(agent: &Agent, condition: &str) {
    let result = testkit::eventually(SOON, async || {
        let status = agent.status().await;
        anyhow::ensure!(status["ldb"]["condition"] == condition, "not {condition}: {status}");
        Ok(())
    });
    result.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_changes_and_heals_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::new(dir.path(), 24);
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[BIG, &big(0, 10)]);
    let agent = Agent::start(&disk.0.join("ldb"), ledger.url()).await;
    agent.reaches(2).await;
    for id in 1..120 {
        ledger.append(&[big(id, 300_000)]);
    }
    let message = agent.enters("ldb_trouble").await;
    assert!(message.contains("make space") || message.contains("full"), "{message}");
    is_in(&agent, "no_space").await;
    let ready = request(agent.admin, "GET", "/readyz", "").await;
    assert_eq!(ready.status, 200);
    assert!(agent.seq().get() >= 2);
    let metrics = request(agent.admin, "GET", "/metrics", "").await.body;
    let line = "ctlstore_agent_ldb_condition{condition=\"no_space\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    disk.grow(120);
    agent.reaches(ledger.head()).await;
    is_in(&agent, "sound").await;
    let ldb = agent.dir.clone();
    agent.stop().await;
    assert_eq!(content::of_ldb(&ldb), content::naive(&ledger.entries));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_puts_off_a_replacement_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::new(dir.path(), 40);
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[BIG]);
    for id in 0..40 {
        ledger.append(&[big(id, 200_000)]);
    }
    let mut config = config(&disk.0.join("ldb"), ledger.url());
    config.ldb = LdbLimits {
        wal_soft_limit: 512 << 10,
        wal_hard_limit: Some(2 << 20),
        retired_for: Duration::from_secs(3600),
    };
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(41).await;
    assert_eq!(agent.ldb().generation(), 1, "who waited only read");
    let mut reader = Plain::open(&agent.dir.join("ldb.db"));
    assert_eq!(reader.ask("BEGIN"), "ok []");
    assert_eq!(reader.ask("SELECT count(*) FROM fam___big"), "ok [(40,)]");
    let filler = disk.fill(6 << 20);
    for n in 0..2000 {
        ledger.append(&[big(1000 + n, 3000)]);
        if n % 100 == 0 && agent.status().await["ldb"]["condition"] == "no_space" {
            break;
        }
    }
    is_in(&agent, "no_space").await;
    assert_eq!(agent.ldb().generation(), 1);
    assert_eq!(reader.ask("SELECT count(*) FROM fam___big"), "ok [(40,)]");
    std::fs::remove_file(filler).unwrap();
    disk.grow(120);
    let switched = testkit::eventually(SOON, async || {
        ledger.append(&[big(1, 3000)]);
        anyhow::ensure!(agent.ldb().generation() == 2, "{}", agent.status().await);
        Ok(())
    });
    switched.await.unwrap();
    agent.reaches(ledger.head()).await;
    assert_eq!(agent.ldb().generation(), 2);
    assert_eq!(reader.ask("SELECT count(*) FROM fam___big"), "ok [(40,)]");
    is_in(&agent, "sound").await;
    agent.stop().await;
}
