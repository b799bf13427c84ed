//! A reader that is stopped in the middle of a read: the WAL stays below its hard limit, and nobody else notices.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ::agent::args::LdbLimits;
use testkit::plain::Plain;

use crate::agent::{Agent, SOON, config};
use crate::faults::{BIG, big};
use crate::ledger::Ledger;

const HARD: u64 = 4 << 20;

fn largest_wal(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter_map(|folder| Some(std::fs::metadata(folder.join("ldb.db-wal")).ok()?.len()))
        .max()
        .unwrap()
}

fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_reader_causes_one_switch_and_the_wal_stays_in_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[BIG, &big(0, 10)]);
    let mut config = config(&dir.path().join("ldb"), ledger.url());
    config.ldb = LdbLimits {
        wal_soft_limit: 512 << 10,
        wal_hard_limit: Some(HARD),
        retired_for: Duration::from_secs(3600),
    };
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(2).await;
    let mut stopped = Plain::open(&agent.dir.join("current/ldb.db"));
    stopped.ask("BEGIN");
    assert_eq!(stopped.ask("SELECT count(*) FROM fam___big"), "ok [(1,)]");
    signal(stopped.pid(), "STOP");
    let mut largest = 0;
    for id in 1..1500 {
        ledger.append(&[big(id, 9000)]);
        largest = largest.max(largest_wal(&agent.dir));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    agent.reaches(ledger.head()).await;
    largest = largest.max(largest_wal(&agent.dir));
    assert!(largest <= HARD, "the WAL had {largest} bytes");
    let status = agent.status().await;
    assert_eq!(status["generation"], 2, "{status}");
    assert_eq!(status["ldb"]["retired_attached"], 1, "{status}");
    signal(stopped.pid(), "CONT");
    assert_eq!(stopped.ask("SELECT count(*) FROM fam___big"), "ok [(1,)]");
    drop(stopped);
    let gone = testkit::eventually(SOON, async || {
        let status = agent.status().await;
        anyhow::ensure!(status["ldb"]["retired"] == 0, "{status}");
        Ok(())
    });
    gone.await.unwrap();
    assert!(!agent.dir.join("gen-1").exists());
    agent.stop().await;
}
