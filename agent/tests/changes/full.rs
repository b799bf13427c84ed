//! A disk that is full where the change log is: changes are applied, the metrics say that the log is broken, and when there
//! is room the log says that changes are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use reader::changes::Event;

use crate::agent::{Agent, SOON, config, request};
use crate::follower::{Follower, Way};
use crate::ledger::{Ledger, TABLE, upsert};
use crate::rotation::v2;

/// A disk of its own; unmounted when it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn new(dir: &Path) -> Self {
        let disk = Self(dir.join("disk"));
        std::fs::create_dir(&disk.0).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk.0);
        assert!(command.status().unwrap().success(), "tests mount a small disk, as root");
        disk
    }

    /// Takes all that is free.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        drop(std::fs::write(&path, vec![1; 1 << 20]));
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

async fn says(agent: &Agent, line: &str) {
    let result = testkit::eventually(SOON, async || {
        let metrics = request(agent.admin, "GET", "/metrics", "").await.body;
        anyhow::ensure!(metrics.lines().any(|found| found == line), "no {line}: {metrics}");
        Ok(())
    });
    result.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_no_change_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::new(dir.path());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE.to_owned(), upsert("first", 1)]);
    let mut config = config(&dir.path().join("ldb"), ledger.url());
    config.changes = v2(&disk.0.join("change.log"), 100);
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(ledger.head()).await;
    says(&agent, "ctlstore_agent_changelog_broken 0").await;
    let mut follower = Follower::new(&agent.dir, Way::File(disk.0.join("change.log")));
    let filler = disk.fill();
    for row in 0..100 {
        ledger.append(&[upsert(&format!("row {row}"), row)]);
    }
    agent.reaches(ledger.head()).await;
    says(&agent, "ctlstore_agent_changelog_broken 1").await;
    let changelog = &agent.status().await["changelog"];
    assert!(changelog["trouble"].as_str().unwrap().contains("space"), "{changelog}");
    assert!(changelog["errors"].as_u64().unwrap() > 0, "{changelog}");
    follower.follow(std::time::Duration::from_millis(300));
    assert!(follower.told < 100 && follower.reloads == 0, "{}", follower.told);

    std::fs::remove_file(filler).unwrap();
    // Without any change: who waits is told.
    says(&agent, "ctlstore_agent_changelog_broken 0").await;
    says(&agent, &format!("ctlstore_agent_changelog_seq {}", ledger.head())).await;
    follower.catches_up(ledger.head());
    assert_eq!(follower.reloads, 1);
    ledger.append(&[upsert("later", 1)]);
    agent.reaches(ledger.head()).await;
    follower.catches_up(ledger.head());
    assert_eq!(follower.reloads, 1);
    let mut changes = reader::changes::Follow::file(disk.0.join("change.log")).open().unwrap();
    assert!(matches!(changes.next_within(SOON).unwrap(), Some(Event::Position(_))));
    agent.stop().await;
}
