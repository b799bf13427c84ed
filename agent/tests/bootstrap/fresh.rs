//! A node that begins with a snapshot and follows the ledger from there is the same as one that replayed everything.

use std::path::Path;

use ::ledger::CtlDbUrl;
use rusqlite::Connection;
use rusqlite::types::Value;
use testkit::mariadb::MariaDb;

use crate::agent::{Agent, SOON};
use crate::content;
use crate::ledger::{Ledger, TABLE, upsert};
use crate::nodes::Place;
use crate::rows;
use crate::writer::Writer;

/// Everything in an LDB but when things were done: tables as they were declared, rows with their storage classes, position and
/// chain.
fn whole(ldb: &Path) -> (Vec<String>, content::Content, Vec<Vec<Value>>) {
    let open = content::open(ldb);
    let column = |sql: &str| -> Vec<String> {
        let mut statement = open.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let tables = column("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name");
    let meta = all(&open, "SELECT format, history, seq, digest, chain FROM _ldb_meta");
    (tables, content::of(&open), meta)
}

fn all(open: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = open.prepare(sql).unwrap();
    let count = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..count).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Values of each kind that columns have, and what the parser must keep apart.
const WIDE: &str = "CREATE TABLE fam___wide (\"id\" INTEGER, \"name\" VARCHAR(191), \"text\" TEXT, \"number\" REAL, \"bin\" BLOB, \"short\" BLOB(255), PRIMARY KEY(\"id\",\"name\"));";

fn wide(id: usize) -> String {
    format!(
        "REPLACE INTO fam___wide (\"id\",\"name\",\"text\",\"number\",\"bin\",\"short\") VALUES({id},'n ''{id}',x'c3a4',{id}.5,x'00ff',NULL)"
    )
}

fn fill(ledger: &mut Ledger, rows: std::ops::Range<usize>) {
    for row in rows {
        ledger.append(&[upsert(&format!("row {row}"), row.try_into().unwrap())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_the_tail_are_the_same_as_the_whole_ledger() {
    for (place, legacy) in [(Place::bucket(), false), (Place::folder(), true)] {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = if legacy { Ledger::legacy(dir.path()) } else { Ledger::new(dir.path()) };
        ledger.append(&[TABLE]);
        fill(&mut ledger, 0..100);
        ledger.append(&[WIDE]);
        let texts: Vec<_> = (0..50).map(wide).collect();
        texts.iter().for_each(|text| ledger.append(&[text]));
        let manifest = place.publish(ledger.url(), ledger.head()).await;
        assert_eq!(manifest.position.history.to_string() == "legacy", legacy);
        fill(&mut ledger, 90..110);
        ledger.append(&["ALTER TABLE fam___wide ADD COLUMN \"more\" INTEGER"]);
        ledger.append(&["DELETE FROM fam___wide WHERE \"id\" = 7 AND \"name\" = 'n ''7'"]);

        let replayed = Agent::start(&dir.path().join("replayed"), ledger.url()).await;
        replayed.reaches(ledger.head()).await;
        let config = place.config(&dir.path().join("fresh"), ledger.url());
        let fresh = Agent::start_with(config).await.unwrap();
        fresh.reaches(ledger.head()).await;
        let told = fresh.bootstraps("done").await;
        assert_eq!(told["from"]["seq"], manifest.position.seq.get());
        assert_eq!(told["from"]["history"], manifest.position.history.to_string());
        fresh.enters("following").await;
        let after = testkit::eventually(SOON, async || {
            let told = fresh.bootstraps("done").await;
            told["entries_after"].as_u64().ok_or_else(|| anyhow::anyhow!("{told}"))
        });
        assert_eq!(after.await.unwrap(), 22);
        assert_eq!(whole(&fresh.dir), whole(&replayed.dir));
        // Both go on.
        fill(&mut ledger, 200..210);
        for agent in [&fresh, &replayed] {
            agent.reaches(ledger.head()).await;
        }
        assert_eq!(whole(&fresh.dir), whole(&replayed.dir));
        assert!(!fresh.dir.join(".incoming").exists(), "nothing is left of the download");
        fresh.stop().await;
        replayed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_through_a_mariadb() {
    let dir = tempfile::tempdir().unwrap();
    let database = MariaDb::shared().create_database().unwrap();
    let url = || CtlDbUrl::parse(&database.url).unwrap();
    let schema = rows::schema();
    let writer = Writer::new(url()).await;
    writer.create(&schema).await;
    let mut seq = 0;
    for row in 0..100 {
        seq = writer.write(&schema, vec![rows::upsert(&schema, row)]).await;
    }
    let place = Place::bucket();
    place.publish(url(), seq).await;
    for row in 90..120 {
        seq = writer.write(&schema, vec![rows::upsert(&schema, row)]).await;
    }
    let replayed = Agent::start(&dir.path().join("replayed"), url()).await;
    replayed.reaches(seq).await;
    let config = place.config(&dir.path().join("fresh"), url());
    let fresh = Agent::start_with(config).await.unwrap();
    fresh.reaches(seq).await;
    assert_eq!(fresh.bootstraps("done").await["phase"], "done");
    assert_eq!(whole(&fresh.dir), whole(&replayed.dir));
    fresh.stop().await;
    replayed.stop().await;
}

/// The recipe `just soak-bootstrap` runs it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a million rows take minutes"]
async fn a_million_rows_are_the_same_too() {
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::bucket());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let rows = |from: usize, to: usize| -> Vec<String> {
        let row = |row: usize| upsert(&format!("row {row:07}"), row.try_into().unwrap());
        crate::ledger::frame((from..to).map(row))
    };
    for thousand in 0..1000 {
        ledger.append(&rows(thousand * 1000, (thousand + 1) * 1000));
    }
    let replayed = Agent::start(&dir.path().join("replayed"), ledger.url()).await;
    let reached = testkit::eventually(SOON * 30, async || {
        let seq = replayed.seq().get();
        anyhow::ensure!(seq == ledger.head(), "at {seq}");
        Ok(())
    });
    reached.await.unwrap();
    place.publish_copy(&replayed.dir, &dir.path().join("copy.db")).await;
    for thousand in 0..10 {
        ledger.append(&rows(thousand * 1000, (thousand + 1) * 1000));
    }
    let config = place.config(&dir.path().join("fresh"), ledger.url());
    let fresh = Agent::start_with(config).await.unwrap();
    for agent in [&fresh, &replayed] {
        agent.reaches(ledger.head()).await;
    }
    assert_eq!(fresh.bootstraps("done").await["phase"], "done");
    assert!(whole(&fresh.dir) == whole(&replayed.dir), "the two differ");
}
