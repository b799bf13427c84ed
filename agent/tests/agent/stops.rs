//! Replay stands still where it must, says why, and goes on when it may. Reads go on throughout.

use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::content;
use crate::ledger::{Ledger, TABLE, frame, upsert};

/// An agent that has applied a table and three rows.
async fn started(dir: &std::path::Path) -> (Ledger, Agent) {
    let mut ledger = Ledger::new(dir);
    ledger.append(&[TABLE]);
    for n in 1..=3 {
        ledger.append(&[upsert(&format!("row {n}"), n)]);
    }
    let agent = Agent::start(&dir.join("ldb"), ledger.url()).await;
    agent.reaches(4).await;
    agent.enters("following").await;
    (ledger, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_behind_us_is_waited_for_and_nothing_is_wiped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    let mut replica = ledger.copy(dir.path());
    ledger.append(&[upsert("row 4", 4)]);
    agent.reaches(5).await;
    let content = content::of_ldb(&agent.dir);
    ledger.fail_over_to(&mut replica);
    let message = agent.enters("ctldb_behind").await;
    assert!(message.contains("ends at 4, before 5"), "{message}");
    agent.looks_on().await;
    assert_eq!(content::of_ldb(&agent.dir), content);

    // The replica catches up with the very same entry.
    replica.append(&[upsert("row 4", 4)]);
    replica.append(&[upsert("row 5", 5)]);
    agent.reaches(6).await;
    agent.enters("following").await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_over_that_lost_entries_is_found_within_one_poll_and_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    let mut replica = ledger.copy(dir.path());
    ledger.append(&[upsert("lost", 1)]);
    ledger.append(&[upsert("lost too", 2)]);
    agent.reaches(6).await;
    let content = content::of_ldb(&agent.dir);
    // Others stand where the lost ones stood, and more.
    for n in 0..3 {
        replica.append(&[upsert("other", n)]);
    }
    let start = Instant::now();
    ledger.fail_over_to(&mut replica);
    let message = agent.enters("forked").await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(
        message.contains("applied here up to 6") && message.contains("another entry there"),
        "{message}"
    );
    replica.append(&[upsert("other", 9)]);
    agent.looks_on().await;
    assert_eq!(content::of_ldb(&agent.dir), content);
    assert_eq!(agent.seq().get(), 6);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_numbers_with_another_past_are_a_fork() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    // The entry at our position is the same, one before it is not, and the next batch proves it.
    agent.stop().await;
    let zeros = "11".repeat(32);
    ledger.append(&[upsert("row 4", 4)]);
    ledger.append(&[upsert("row 5", 5)]);
    ledger.sql(&format!("UPDATE ctlstore_batches SET chain = x'{zeros}' WHERE last_seq = 6"));
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    let message = agent.enters("forked").await;
    assert!(message.contains("chain of digests"), "{message}");
    // What was proved by the batch before is applied, the rest is not.
    assert_eq!(agent.seq().get(), 5);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_history_is_followed_from_its_parent_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    let replica_dir = tempfile::tempdir().unwrap();
    let mut restored = ledger.copy(dir.path());
    let history = restored.new_history(1000);
    let ahead = Agent::start(&replica_dir.path().join("ldb"), ledger.url()).await;
    agent.stop().await;
    ledger.append(&[upsert("lost", 1)]);
    ahead.reaches(5).await;

    ledger.fail_over_to(&mut restored);
    // It has an entry that the new history does not know.
    let message = ahead.enters("forked").await;
    assert!(message.contains("which left") && message.contains("at 4"), "{message}");

    let agent = Agent::start(&dir.path().join("ldb"), restored.url()).await;
    agent.enters("following").await;
    assert_eq!(agent.ldb().position().unwrap().unwrap().seq.get(), 4);
    let status = agent.status().await;
    assert_eq!((&status["ledger"]["head"], &status["missing_entries"]), (&1000.into(), &0.into()));
    restored.append_above(1000, &[upsert("new", 1)]);
    agent.reaches(1001).await;
    assert_eq!(agent.ldb().position().unwrap().unwrap().history, history);
    assert_eq!(content::of_ldb(&agent.dir), content::naive(&restored.entries));
    assert_eq!(ahead.seq().get(), 5);
    agent.stop().await;
    ahead.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ldb_of_another_history_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, agent) = started(dir.path()).await;
    ledger.sql("UPDATE ctlstore_meta SET history = '7c1f3c55-0000-4000-8000-000000000bad'");
    let message = agent.enters("forked").await;
    assert!(message.contains("0bad, which does not continue 0d5e0a5c"), "{message}");
    agent.looks_on().await;
    assert_eq!(agent.seq().get(), 4);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_pruned_above_us_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    agent.stop().await;
    for n in 0..6 {
        ledger.append(&[upsert("row", n)]);
    }
    ledger.sql("UPDATE ctlstore_meta SET pruned_through = 4; DELETE FROM ctlstore_dml_ledger WHERE seq <= 4");
    // Exactly to our position: the next entry is there, and the chain proves it.
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(10).await;
    agent.stop().await;
    ledger.append(&[upsert("row", 7)]);
    ledger.append(&[upsert("row", 8)]);
    ledger.sql("UPDATE ctlstore_meta SET pruned_through = 11; DELETE FROM ctlstore_dml_ledger WHERE seq <= 11");
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    let message = agent.enters("pruned").await;
    assert!(message.contains("up to 11") && message.contains("10 is applied"), "{message}");
    assert_eq!(agent.seq().get(), 10);
    // Nor is an empty LDB fed from the middle.
    let empty = Agent::start(&dir.path().join("empty"), ledger.url()).await;
    empty.enters("pruned").await;
    assert_eq!(empty.seq().get(), 0);
    empty.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_is_believed_after_three_seconds_and_left_when_it_closes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    agent.stop().await;
    for n in 0..3 {
        ledger.append(&[upsert("row", n)]);
    }
    ledger.sql("CREATE TABLE kept AS SELECT * FROM ctlstore_dml_ledger WHERE seq = 6; DELETE FROM ctlstore_dml_ledger WHERE seq = 6");
    let start = Instant::now();
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(5).await;
    let message = agent.enters("hole").await;
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(message.contains("lacks the entries 6 to 6"), "{message}");
    assert_eq!(agent.seq().get(), 5);
    ledger.sql("INSERT INTO ctlstore_dml_ledger SELECT * FROM kept");
    agent.reaches(7).await;
    agent.enters("following").await;

    // At the end of the ledger, where only its counter tells.
    ledger.sql("UPDATE ctlstore_meta SET last_seq = 9, chain = x'1111111111111111111111111111111111111111111111111111111111111111'");
    let message = agent.enters("hole").await;
    assert!(message.contains("lacks the entries 8 to 9"), "{message}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_within_a_large_frame_is_believed_too() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    agent.stop().await;
    ledger.append(&frame((0..12_000).map(|n| upsert(&format!("large {n}"), n))));
    ledger.sql("DELETE FROM ctlstore_dml_ledger WHERE seq = 11000");
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    let message = agent.enters("hole").await;
    assert!(message.contains("lacks the entries 11000 to 11000"), "{message}");
    assert_eq!(agent.seq().get(), 4);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_entry_stops_replay_until_it_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    let check = async |ledger: &Ledger, seq: u64, words: &str| {
        let message = agent.enters("poisoned").await;
        assert!(message.contains(words), "{message}");
        assert!(message.contains(&format!("entry {seq} cannot")), "{message}");
        assert!(message.contains(&format!("ctlstore ledger skip {seq} --reason")), "{message}");
        assert_eq!(agent.seq().get(), seq - 1);
        ledger.sql(&format!("INSERT INTO ctlstore_skips VALUES ({seq}, 'made by hand')"));
        agent.reaches(seq).await;
        agent.enters("following").await;
    };
    ledger.append(&["UPDATE fam___tbl SET n = 7"]);
    ledger.append(&[upsert("after", 1)]);
    check(&ledger, 5, "not a ledger statement: at byte 0").await;
    agent.reaches(6).await;
    ledger.append(&["REPLACE INTO fam___gone (\"id\") VALUES('x')"]);
    check(&ledger, 7, "no such table: fam___gone").await;
    ledger.append(&["REPLACE INTO fam___tbl (\"id\",\"gone\") VALUES('x',1)"]);
    check(&ledger, 8, "no column named gone").await;
    ledger.append(&[TABLE]);
    check(&ledger, 9, "already exists").await;
    ledger.append(&["--- COMMIT"]);
    check(&ledger, 10, "COMMIT without a BEGIN").await;

    let metrics = crate::agent::request(agent.admin, "GET", "/metrics", "").await.body;
    assert!(metrics.contains("ctlstore_agent_entries_skipped_total 5\n"), "{metrics}");
    assert!(metrics.contains("ctlstore_agent_state{state=\"following\"} 1\n"), "{metrics}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_within_a_frame_leaves_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    ledger.append(&[upsert("good", 1)]);
    let mut texts = frame([upsert("one", 1), upsert("two", 2)]);
    texts[2] = "REPLACE INTO fam___gone (\"id\") VALUES('x')".to_owned();
    ledger.append(&texts);
    agent.enters("poisoned").await;
    assert_eq!(agent.seq().get(), 5, "before the frame");
    let family = agent.ldb().family("fam").unwrap();
    assert!(family.row("tbl", &["good".into()]).unwrap().is_some());
    assert!(family.row("tbl", &["one".into()]).unwrap().is_none());
    ledger.sql("INSERT INTO ctlstore_skips VALUES (8, 'no such table')");
    agent.reaches(9).await;
    assert!(family.row("tbl", &["one".into()]).unwrap().is_some());

    // One that is larger than a fetch, poisoned at its end.
    let mut texts = frame((0..12_000).map(|n| upsert(&format!("large {n}"), n)));
    texts[12_000] = "REPLACE INTO fam___gone (\"id\") VALUES('x')".to_owned();
    ledger.append(&texts);
    agent.enters("poisoned").await;
    assert_eq!(agent.seq().get(), 9);
    assert!(family.row("tbl", &["large 1".into()]).unwrap().is_none());
    // The good part of it, which is applied again and again, is no progress.
    for _ in 0..50 {
        assert_eq!(agent.status().await["state"], "poisoned");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = crate::agent::request(agent.admin, "GET", "/metrics", "").await.body;
    assert!(metrics.contains("ctlstore_agent_entries_applied_total 9\n"), "{metrics}");
    ledger.sql("INSERT INTO ctlstore_skips VALUES (12010, 'no such table')");
    agent.reaches(12_011).await;
    let rows = family.all("tbl").unwrap().len();
    assert_eq!(rows, 3 + 2 + 11_999);
    agent.enters("following").await;
    let metrics = crate::agent::request(agent.admin, "GET", "/metrics", "").await.body;
    assert!(metrics.contains("ctlstore_agent_entries_applied_total 12011\n"), "{metrics}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_newer_release_asks_for_a_newer_agent() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    ledger.sql("UPDATE ctlstore_meta SET min_compatible = 7");
    ledger.append(&["COMPRESS fam___tbl"]);
    let message = agent.enters("too_old").await;
    assert!(
        message.contains("entry 5") && message.contains("upgrade the agent to >= 0.7"),
        "{message}"
    );
    assert_eq!(agent.seq().get(), 4);
    agent.stop().await;
}
