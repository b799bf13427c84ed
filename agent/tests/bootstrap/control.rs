//! `ctlstore agent rebuild`: another LDB, because somebody on the node asks for one.

use std::os::unix::fs::PermissionsExt as _;

use ::agent::control::Line;
use ::agent::control::client::{self, ControlError};

use crate::agent::Agent;
use crate::begin::prune;
use crate::content;
use crate::ledger::{Ledger, TABLE, upsert};
use crate::nodes::Place;

async fn rebuild(agent: &Agent) -> (Line, Vec<Line>) {
    let dir = agent.dir.clone();
    let ask = move || {
        let mut lines = Vec::new();
        let last = client::rebuild(&dir, |line| lines.push(line.clone())).unwrap();
        (last, lines)
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

fn ledger(dir: &std::path::Path) -> Ledger {
    let mut ledger = Ledger::new(dir);
    ledger.append(&[TABLE]);
    for row in 0..30 {
        ledger.append(&[upsert(&format!("row {row}"), row)]);
    }
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_brings_the_snapshot_and_no_reader_sees_the_sequence_fall() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::bucket());
    let mut ledger = ledger(dir.path());
    let snapshot = place.publish(ledger.url(), ledger.head()).await;
    for row in 0..20 {
        ledger.append(&[upsert("more", row)]);
    }
    let config = place.config(&dir.path().join("ldb"), ledger.url());
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(ledger.head()).await;
    let socket = agent.dir.join(".control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // A row that is not in the ledger: it is gone afterwards.
    let served = agent.dir.join("current/ldb.db");
    let open = rusqlite::Connection::open(served).unwrap();
    open.execute("INSERT INTO fam___tbl VALUES ('stray', 1)", []).unwrap();
    drop(open);
    let (reader, head) = (agent.ldb(), ledger.head());
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watching = std::sync::Arc::clone(&over);
    let watch = std::thread::spawn(move || {
        while !watching.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(reader.seq().unwrap().get() >= head);
        }
    });
    let (last, _) = rebuild(&agent).await;
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    watch.join().unwrap();
    assert_eq!(last.ok, Some(true), "{last:?}");
    let text = last.message.unwrap();
    assert!(text.contains(&format!("snapshot at entry {}", snapshot.position.seq)), "{text}");
    assert_eq!(content::of_ldb(&agent.dir), content::naive(&ledger.entries));
    agent.enters("following").await;
    agent.stop().await;
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_snapshots_the_ledger_is_replayed_if_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(ledger.head()).await;
    let before = agent.status().await["generation"].clone();
    let (last, _) = rebuild(&agent).await;
    assert_eq!(last.ok, Some(true), "{last:?}");
    assert_ne!(agent.status().await["generation"], before);
    assert_eq!(content::of_ldb(&agent.dir), content::naive(&ledger.entries));
    prune(&ledger, 10);
    let (last, _) = rebuild(&agent).await;
    assert_eq!(last.ok, Some(false));
    let text = last.message.unwrap();
    assert!(text.contains("the ledger begins after entry 10"), "{text}");
    assert_eq!(content::of_ldb(&agent.dir), content::naive(&ledger.entries));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_that_nobody_could_check_and_no_agent_is_said_so() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::folder());
    let ledger = ledger(dir.path());
    place.publish(ledger.url(), ledger.head()).await;
    let ldb = dir.path().join("ldb");
    let agent = Agent::start_with(place.config(&ldb, ledger.url())).await.unwrap();
    agent.reaches(ledger.head()).await;
    let away = ledger.path.with_extension("away");
    std::fs::rename(&ledger.path, &away).unwrap();
    let (last, _) = rebuild(&agent).await;
    assert_eq!(last.ok, Some(false));
    assert!(last.message.unwrap().contains("ctldb cannot be asked"));
    agent.stop().await;
    let error = client::rebuild(&ldb, |_| ()).unwrap_err();
    assert!(matches!(error, ControlError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("is one running"), "{error}");
}
