//! Whatever is there and whatever is away: how a node begins, and what it says meanwhile.

use std::time::Duration;

use ::ledger::CtlDbUrl;
use testkit::s3::Fault;

use crate::agent::{Agent, config};
use crate::content;
use crate::ledger::{Ledger, TABLE, upsert};
use crate::nodes::Place;

fn ledger(dir: &std::path::Path, rows: i64) -> Ledger {
    let mut ledger = Ledger::new(dir);
    ledger.append(&[TABLE]);
    for row in 0..rows {
        ledger.append(&[upsert(&format!("row {row}"), row)]);
    }
    ledger
}

fn nowhere() -> CtlDbUrl {
    CtlDbUrl::parse("mysql://agent:x@127.0.0.1:1/ctldb").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_ctldb_down_a_fresh_node_serves_the_snapshot_and_tells_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 20);
    for place in [Place::bucket(), Place::folder()] {
        let manifest = place.publish(ledger.url(), ledger.head()).await;
        let ldb = tempfile::tempdir().unwrap();
        let config = place.config(&ldb.path().join("ldb"), nowhere());
        let agent = Agent::start_with(config).await.unwrap();
        let told = agent.bootstraps("done").await;
        assert_eq!(told["from"]["seq"], ledger.head());
        let taken = u64::try_from(manifest.taken_at.as_micros() / 1000).unwrap();
        assert_eq!(told["taken_at_ms"], taken);
        assert_eq!(content::of_ldb(&agent.dir), content::naive(&ledger.entries));
        assert!(agent.is_ready().await);
        agent.enters("ctldb_away").await;
        let status = agent.status().await;
        assert!(status["lag_seconds"].as_f64().unwrap() > 0.0, "{status}");
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_there_a_fresh_node_waits_says_so_and_is_not_ready_until_it_serves() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 20);
    let place = Place::folder();
    let agent = Agent::start_with(place.config(&dir.path().join("ldb"), nowhere())).await.unwrap();
    agent.says("no snapshot, and ctldb cannot be reached").await;
    agent.enters("bootstrapping").await;
    let (status, text) = agent.readyz().await;
    assert!(status != 200 && text.contains("no snapshot, and ctldb cannot be reached"), "{text}");
    // It never becomes hot, and begins as soon as there is something.
    place.publish(ledger.url(), ledger.head()).await;
    agent.reaches(ledger.head()).await;
    agent.bootstraps("done").await;
    assert!(agent.is_ready().await);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_a_whole_ledger_is_replayed_and_a_pruned_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 20);
    let whole = Agent::start(&dir.path().join("whole"), ledger.url()).await;
    whole.reaches(ledger.head()).await;
    whole.enters("following").await;
    assert!(whole.is_ready().await);
    whole.stop().await;
    prune(&ledger, 10);
    let pruned = Agent::start(&dir.path().join("pruned"), ledger.url()).await;
    let text = pruned.enters("pruned").await;
    assert!(text.contains("up to 10"), "{text}");
    pruned.says("--snapshot-url").await;
    assert!(!pruned.is_ready().await);
    pruned.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_store_and_no_snapshot_a_whole_ledger_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 20);
    let place = Place::bucket();
    let config = place.config(&dir.path().join("ldb"), ledger.url());
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(ledger.head()).await;
    agent.enters("following").await;
    assert!(agent.is_ready().await);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_ledger_makes_a_node_ready() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(dir.path());
    let place = Place::folder();
    let config = place.config(&dir.path().join("ldb"), ledger.url());
    let agent = Agent::start_with(config).await.unwrap();
    agent.enters("following").await;
    assert!(agent.is_ready().await);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_waited_for_and_the_ledger_is_not_replayed_instead() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 20);
    let place = Place::bucket();
    place.publish(ledger.url(), ledger.head()).await;
    place.proxy().break_by(|_| Some(Fault::Answer(403, "AccessDenied")));
    let config = place.config(&dir.path().join("ldb"), ledger.url());
    let agent = Agent::start_with(config).await.unwrap();
    let text = agent.says("snapshot store cannot be reached").await;
    assert!(text.contains("access denied"), "{text}");
    agent.stays(Duration::from_secs(1), |status| status["position"].is_null()).await;
    let asked = place.proxy().asked().len();
    assert!(asked < 60, "{asked} requests in a few seconds");
    assert!(!agent.is_ready().await);
    place.proxy().heal();
    agent.reaches(ledger.head()).await;
    agent.bootstraps("done").await;
    agent.stop().await;
}

/// An LDB that is there is served at once, and what it needs of the store is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_here_before_asks_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path(), 20);
    let ldb = dir.path().join("ldb");
    let first = Agent::start_with(config(&ldb, ledger.url())).await.unwrap();
    first.reaches(ledger.head()).await;
    first.stop().await;
    let place = Place::bucket();
    place.publish(ledger.url(), ledger.head()).await;
    drop(place.proxy().asked());
    let agent = Agent::start_with(place.config(&ldb, nowhere())).await.unwrap();
    assert!(agent.is_ready().await);
    agent.enters("ctldb_away").await;
    assert_eq!(place.proxy().asked(), []);
    assert!(agent.status().await["bootstrap"].is_null());
    agent.stop().await;
}

/// As `ctlstore ledger prune` does.
pub(crate) fn prune(ledger: &Ledger, through: u64) {
    ledger.sql(&format!(
        "UPDATE ctlstore_meta SET pruned_through = {through};
         DELETE FROM ctlstore_dml_ledger WHERE seq <= {through}"
    ));
}
