//! Who comes back with a place to go on from that is of another epoch is told to reload, wherever the LDB stands now.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use reader::changes::{Event, Follow, Resume};
use reader::layout::word;

use crate::agent::{Agent, SOON, config};
use crate::follower::{Follower, Way};
use crate::ledger::{Ledger, TABLE, upsert};
use crate::rotation::v2;

async fn started(dir: &Path, ledger: &Ledger) -> Agent {
    let mut config = config(&dir.join("ldb"), ledger.url());
    config.changes = v2(&dir.join("change.log"), 20);
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(ledger.head()).await;
    agent
}

fn ways(dir: &Path) -> [Follow; 2] {
    let socket = dir.join("ldb").join(reader::layout::SOCKET);
    [Follow::file(dir.join("change.log")), Follow::socket(socket)]
}

/// Where programs are that were told all.
fn told(dir: &Path, from: u64, to: u64) -> [Resume; 2] {
    ways(dir).map(|follow| {
        let mut changes = follow.after(::ledger::Seq::new(from).unwrap()).open().unwrap();
        while changes.resume().unwrap().seq().get() < to {
            let event = changes.next_within(SOON).unwrap().expect("nothing comes");
            assert!(!matches!(event, Event::Reload { .. }), "{event:?}");
        }
        // Kept as text, as programs do.
        changes.resume().unwrap().to_string().parse().unwrap()
    })
}

/// Is the first thing that it is told, positions aside, to reload?
fn reloads(follow: Follow) -> bool {
    let mut changes = follow.open().unwrap();
    loop {
        match changes.next_within(Duration::from_millis(500)).unwrap() {
            Some(Event::Position(_)) => {}
            Some(Event::Reload { .. }) => return true,
            Some(Event::Change(_)) | None => return false,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_stepped_back_means_reload() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut ledger = Ledger::new(dir);
    ledger.append(&[TABLE.to_owned(), upsert("one", 1)]);
    let agent = started(dir, &ledger).await;
    ledger.append(&[upsert("two", 2)]);
    agent.reaches(3).await;
    let kept = told(dir, 2, 3);
    for (follow, kept) in ways(dir).into_iter().zip(&kept) {
        assert!(!reloads(follow.resume(kept.clone())), "{kept}");
    }
    agent.stop().await;
    // A power cut took the LDB's last commits, and others may stand there now.
    let ctl = std::fs::File::options().write(true).open(dir.join("ldb/ctl")).unwrap();
    ctl.write_at(&9_u64.to_le_bytes(), u64::try_from(8 * word::SEQ).unwrap()).unwrap();
    let agent = started(dir, &ledger).await;
    ledger.append(&[upsert("three", 3)]);
    agent.reaches(4).await;
    for (follow, kept) in ways(dir).into_iter().zip(&kept) {
        assert!(reloads(follow.resume(kept.clone())), "{kept}");
    }
    let now = told(dir, 4, 4);
    for (follow, now) in ways(dir).into_iter().zip(now) {
        assert!(!reloads(follow.resume(now)));
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_in_the_place_of_the_ldb_means_reload_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut ledger = Ledger::new(dir);
    ledger.append(&[TABLE.to_owned(), upsert("one", 1)]);
    let agent = started(dir, &ledger).await;
    let log = dir.join("change.log");
    let mut followers =
        [Way::File(log.clone()), Way::Socket].map(|way| Follower::new(&agent.dir, way));
    for follower in &mut followers {
        follower.follow(Duration::from_millis(100));
    }
    // The directory is emptied, and the agent begins anew.
    agent.stop().await;
    std::fs::remove_dir_all(dir.join("ldb")).unwrap();
    ledger.append(&[upsert("two", 2)]);
    let agent = started(dir, &ledger).await;
    ledger.append(&[upsert("three", 3)]);
    agent.reaches(4).await;
    for follower in &mut followers {
        follower.catches_up(4);
    }
    agent.stop().await;
}
