//! Nodes that cannot go on: the ledger lacks what comes next, is another one, or has what cannot be applied; the file is bad.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use crate::agent::Agent;
use crate::begin::prune;
use crate::content;
use crate::ledger::{Ledger, TABLE, upsert};
use crate::nodes::Place;

fn fill(ledger: &mut Ledger, rows: std::ops::Range<i64>) {
    for row in rows {
        ledger.append(&[upsert(&format!("row {}", row % 50), row)]);
    }
}

async fn node(place: &Place, dir: &std::path::Path, ledger: &Ledger) -> Agent {
    Agent::start_with(place.config(dir, ledger.url())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pruned_below_its_position_a_node_bootstraps_and_goes_on() {
    for place in [Place::bucket(), Place::folder()] {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(dir.path());
        ledger.append(&[TABLE]);
        fill(&mut ledger, 0..20);
        let ldb = dir.path().join("ldb");
        let before = node(&place, &ldb, &ledger).await;
        before.reaches(ledger.head()).await;
        before.stop().await;
        let old = place.publish(ledger.url(), ledger.head()).await;
        fill(&mut ledger, 20..60);
        let low = ledger.head() - 20;
        // It holds everything and is not served any more by anyone.
        let whole = ledger.entries.clone();
        let copy = ledger.copy(dir.path());
        prune(&ledger, low);

        // The only snapshot is older than what is left: it says that it cannot, and serves.
        let agent = node(&place, &ldb, &ledger).await;
        agent.enters("pruned").await;
        let text = agent.says(&format!("after entry {low} and no snapshot")).await;
        assert!(text.contains("take one on a node that is further"), "{text}");
        let stood = old.position.seq.get();
        agent.stays(Duration::from_millis(500), |status| status["position"]["seq"] == stood).await;
        assert!(agent.is_ready().await);
        let reader = agent.ldb();
        let view = reader.seq().unwrap();

        let newer = place.publish(copy.url(), ledger.head()).await;
        fill(&mut ledger, 60..70);
        agent.reaches(ledger.head()).await;
        let told = agent.bootstraps("done").await;
        assert_eq!(told["from"]["seq"], newer.position.seq.get());
        agent.enters("following").await;
        assert!(reader.seq().unwrap() > view, "a reader follows by itself");
        let all: Vec<_> =
            whole.into_iter().chain(ledger.entries.iter().rev().take(10).rev().cloned()).collect();
        assert_eq!(content::of_ldb(&agent.dir), content::naive(&all));
        agent.stop().await;
    }
}

/// ctldb was restored to an earlier state, and nodes and snapshots are ahead of it.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_nobody_gets_the_dead_tail() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::bucket());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    fill(&mut ledger, 0..20);
    let branched = place.publish(ledger.url(), ledger.head()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut backup = ledger.copy(elsewhere.path());
    fill(&mut ledger, 20..30);
    let dead = place.publish(ledger.url(), ledger.head()).await;
    fill(&mut ledger, 30..40);
    let ahead = node(&place, &dir.path().join("ahead"), &ledger).await;
    ahead.reaches(ledger.head()).await;
    let lost = ledger.head();
    ledger.fail_over_to(&mut backup);
    let ledger = &mut backup;

    // Nothing is decided yet: who is ahead waits, who is new takes what the ledger knows.
    ahead.enters("ctldb_behind").await;
    let reader = ahead.ldb();
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watching = std::sync::Arc::clone(&over);
    let watch = std::thread::spawn(move || {
        let mut highest = 0;
        while !watching.load(std::sync::atomic::Ordering::Relaxed) {
            let seq = reader.seq().unwrap().get();
            assert!(seq >= highest, "the sequence fell from {highest} to {seq}");
            highest = seq;
        }
    });
    let early = node(&place, &dir.path().join("early"), ledger).await;
    early.reaches(branched.position.seq.get()).await;
    assert_eq!(early.bootstraps("done").await["from"]["seq"], branched.position.seq.get());
    early
        .stays(Duration::from_millis(500), |status| {
            status["position"]["seq"] == branched.position.seq.get()
        })
        .await;

    ledger.new_history(lost + 10);
    ledger.append_above(lost + 10, &[upsert("row 7", 4711)]);
    let want = content::naive(&ledger.entries);
    let fresh = node(&place, &dir.path().join("fresh"), ledger).await;
    for (name, agent) in [("fresh", &fresh), ("early", &early), ("ahead", &ahead)] {
        agent.reaches(ledger.head()).await;
        agent.enters("following").await;
        assert_eq!(content::of_ldb(&agent.dir), want, "{name}");
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    watch.join().unwrap();
    // The parent's snapshot up to the branch is as good as any; the one beyond it is nobody's.
    assert!(dead.position.seq > branched.position.seq);
    for agent in [&fresh, &ahead] {
        let told = agent.bootstraps("done").await;
        assert_eq!(told["from"]["seq"], branched.position.seq.get(), "{told}");
    }
    for agent in [fresh, early, ahead] {
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_without_a_snapshot_of_the_ledger_stays_and_says_so() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::folder());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    fill(&mut ledger, 0..10);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut backup = ledger.copy(elsewhere.path());
    fill(&mut ledger, 10..20);
    let agent = node(&place, &dir.path().join("ldb"), &ledger).await;
    agent.reaches(ledger.head()).await;
    let served = content::of_ldb(&agent.dir);
    place.publish(ledger.url(), ledger.head()).await;
    backup.new_history(ledger.head());
    backup.append_above(ledger.head(), &[upsert("row 7", 4711)]);
    ledger.fail_over_to(&mut backup);
    agent.enters("forked").await;
    agent.says("no snapshot is of this ledger").await;
    assert_eq!(content::of_ldb(&agent.dir), served);
    agent.stop().await;
}

/// A snapshot below the entry that stops everybody is never loaded; one beyond it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stuck_loads_only_what_is_beyond() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::bucket());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    fill(&mut ledger, 0..10);
    let below = ledger.head();
    place.publish(ledger.url(), below).await;
    let agent = node(&place, &dir.path().join("ldb"), &ledger).await;
    agent.reaches(below).await;
    let switches = agent.status().await["ldb"]["switches"].clone();
    ledger.append(&["REPLACE INTO fam___none (\"id\") VALUES(1)"]);
    let poison = ledger.head();
    fill(&mut ledger, 10..20);
    agent.enters("poisoned").await;
    let text = agent.says(&format!("entry {poison} cannot be")).await;
    assert!(text.contains("no snapshot is beyond it"), "{text}");
    agent.stays(Duration::from_secs(1), |status| status["position"]["seq"] == below).await;
    assert_eq!(agent.status().await["ldb"]["switches"], switches);

    // Another node can: it was told to skip it, by a ledger that is a copy of this one.
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = ledger.copy(elsewhere.path());
    copy.sql(&format!("INSERT INTO ctlstore_skips VALUES ({poison}, 'test')"));
    let beyond = place.publish(copy.url(), ledger.head()).await;
    agent.reaches(ledger.head()).await;
    assert_eq!(agent.bootstraps("done").await["from"]["seq"], beyond.position.seq.get());
    agent.enters("following").await;
    agent.stop().await;
}

/// With a snapshot there, a bad file is not built anew from the whole ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_replaced_from_a_snapshot() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::bucket());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    fill(&mut ledger, 0..40);
    let low = ledger.head() - 5;
    let ldb = dir.path().join("ldb");
    let first = node(&place, &ldb, &ledger).await;
    first.reaches(ledger.head()).await;
    first.stop().await;
    let snapshot = place.publish(ledger.url(), ledger.head()).await;
    fill(&mut ledger, 40..50);
    let second = node(&place, &ldb, &ledger).await;
    second.reaches(ledger.head()).await;
    second.stop().await;
    // The ledger alone could not do it.
    prune(&ledger, low);
    for bytes in [&b"no database at all"[..], &[0xff; 8192]] {
        let file = ldb.join("current/ldb.db");
        let open = std::fs::File::options().write(true).open(&file).unwrap();
        let at = if bytes.len() > 100 { 4096 } else { 0 };
        open.write_all_at(bytes, at).unwrap();
        drop(open);
        drop(std::fs::remove_file(ldb.join(".clean")));
        fill(&mut ledger, 50..55);
        let agent = node(&place, &ldb, &ledger).await;
        agent.reaches(ledger.head()).await;
        agent.enters("following").await;
        let told = agent.bootstraps("done").await;
        assert_eq!(told["from"]["seq"], snapshot.position.seq.get());
        assert_eq!(content::of_ldb(&agent.dir), content::naive(&ledger.entries));
        agent.stop().await;
    }
}
