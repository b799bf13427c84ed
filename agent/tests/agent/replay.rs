//! Entries become rows: batches, frames, restarts, random ledgers.

use ::ledger::Statement;
use proptest::prelude::*;

use crate::agent::Agent;
use crate::content;
use crate::ledger::{Ledger, TABLE, frame, upsert};

#[tokio::test(flavor = "multi_thread")]
async fn rows_follow_the_ledger_and_a_restart_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(1).await;
    ledger.append(&[upsert("a", 1)]);
    ledger.append(&frame([upsert("b", 2), upsert("a", 3)]));
    ledger.append(&["ALTER TABLE fam___tbl ADD COLUMN \"note\" TEXT"]);
    ledger.append(&["DELETE FROM fam___tbl WHERE \"id\" = 'b'"]);
    agent.reaches(ledger.head()).await;
    agent.enters("following").await;
    let row = agent.ldb().family("fam").unwrap().row("tbl", &["a".into()]).unwrap().unwrap();
    assert_eq!(serde_json::to_string(&row).unwrap(), r#"{"id":"a","n":3,"note":null}"#);

    let position = agent.ldb().position().unwrap().unwrap();
    assert_eq!(position.chain, ledger.chain);
    let content = content::of_ldb(&agent.dir);
    assert_eq!(content, content::naive(&ledger.entries));
    let dir = agent.dir.clone();
    agent.stop().await;

    let agent = Agent::start(&dir, ledger.url()).await;
    agent.enters("following").await;
    assert_eq!(agent.ldb().position().unwrap(), Some(position));
    assert_eq!(content::of_ldb(&dir), content);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_larger_than_any_fetch_is_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    ledger.append(&[upsert("before", 0)]);
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(2).await;
    ledger.append(&frame((0..100_000).map(|n| upsert(&format!("row {n}"), n))));
    ledger.append(&[upsert("after", 0)]);
    let ldb = agent.ldb();
    let seen = testkit::eventually(crate::agent::SOON * 3, async || {
        let seq = ldb.seq()?.get();
        anyhow::ensure!(seq >= ledger.head(), "at {seq}");
        Ok(seq)
    });
    let watch = async {
        loop {
            let seq = agent.seq().get();
            assert!(seq == 2 || seq >= 100_004, "a part of the frame is visible: {seq}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        seen = seen => assert_eq!(seen.unwrap(), ledger.head()),
        () = watch => {}
    }
    let rows = agent.ldb().family("fam").unwrap().all("tbl").unwrap();
    assert_eq!(rows.len(), 100_002);
    let wal = std::fs::metadata(agent.dir.join("gen-1/ldb.db-wal")).unwrap().len();
    assert!(wal < 8 << 20, "the WAL has {wal} bytes");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_starts_and_serves_while_ctldb_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE.to_owned(), upsert("a", 1)]);
    let ldb = dir.path().join("ldb");
    let agent = Agent::start(&ldb, ledger.url()).await;
    agent.reaches(2).await;
    agent.stop().await;

    let away = dir.path().join("away");
    std::fs::rename(&ledger.path, &away).unwrap();
    let agent = Agent::start(&ldb, ledger.url()).await;
    agent.enters("ctldb_away").await;
    assert!(agent.ldb().family("fam").unwrap().row("tbl", &["a".into()]).unwrap().is_some());
    let ready = crate::agent::request(agent.admin, "GET", "/readyz", "").await;
    assert_eq!(ready.status, 200, "{}", ready.body);

    std::fs::rename(&away, &ledger.path).unwrap();
    ledger.append(&[upsert("b", 2)]);
    agent.reaches(3).await;
    agent.enters("following").await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wal_stays_small_while_readers_hold_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(1).await;
    let reader = content::open(&agent.dir);
    let wal = agent.dir.join("gen-1/ldb.db-wal");
    let mut most = 0;
    for round in 0..60_i64 {
        let texts: Vec<_> =
            (0..500).map(|n| upsert(&format!("{n}{}", "x".repeat(150)), round)).collect();
        ledger.append(&texts);
        // Held over the commit, as readers do.
        reader.execute_batch("BEGIN; SELECT count(*) FROM fam___tbl").unwrap();
        agent.reaches(ledger.head()).await;
        reader.execute_batch("COMMIT").unwrap();
        most = most.max(std::fs::metadata(&wal).unwrap().len());
    }
    assert!(most < 12 << 20, "the WAL had {most} bytes");
    agent.stop().await;
}

/// A statement, as numbers that a test can shrink.
fn statements() -> impl Strategy<Value = Vec<Vec<(u8, u8, i64)>>> {
    let statement = (0..10_u8, 0..6_u8, any::<i64>());
    prop::collection::vec(prop::collection::vec(statement, 1..8), 1..40)
}

fn text((kind, row, number): (u8, u8, i64)) -> String {
    match kind {
        0 => "DELETE FROM fam___tbl".to_owned(),
        1 | 2 => format!("DELETE FROM fam___tbl WHERE \"id\" = 'row {row}'"),
        _ => upsert(&format!("row {row}"), number),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn random_ledgers_become_what_a_naive_replay_makes_of_them(batches in statements(), restarts in 0..3_u8) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut ledger = Ledger::new(dir.path());
            ledger.append(&[TABLE]);
            let ldb = dir.path().join("ldb");
            let mut agent = Agent::start(&ldb, ledger.url()).await;
            for (index, batch) in batches.into_iter().enumerate() {
                let statements = batch.into_iter().map(|one| Statement::parse(&text(one)).unwrap());
                ledger.batch(statements.collect());
                if index < usize::from(restarts) {
                    agent.stop().await;
                    agent = Agent::start(&ldb, ledger.url()).await;
                }
            }
            agent.reaches(ledger.head()).await;
            assert_eq!(content::of_ldb(&ldb), content::naive(&ledger.entries));
            assert_eq!(agent.ldb().position().unwrap().unwrap().chain, ledger.chain);
            agent.stop().await;
        });
    }
}
