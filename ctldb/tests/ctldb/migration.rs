//! What a database may be when a process starts, and what becomes of it.

use anyhow::Result;
use ctldb::{Error, MIN_COMPATIBLE, Migrated, VERSION};
use ledger::History;

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::shop;

on_both!(
    an_empty_database_becomes_a_ctldb,
    an_older_version_is_brought_to_ours,
    a_newer_version_is_taken_if_it_says_so,
    a_database_of_the_original_is_left_untouched,
    processes_that_start_together_take_turns,
);

async fn an_empty_database_becomes_a_ctldb(place: &Place) -> Result<()> {
    let ctldb = place.open()?;
    assert_eq!(ctldb.migrate().await?, Migrated::Created);
    let meta = ctldb.meta().await?;
    assert_eq!((meta.version, meta.min_compatible), (VERSION, MIN_COMPATIBLE));
    assert!(matches!(meta.history, History::Id(_)));
    assert_eq!((meta.last, meta.parent), (None, None));
    assert_eq!(ctldb.migrate().await?, Migrated::Current);
    assert_eq!(ctldb.meta().await?, meta, "a second migration changes nothing");
    assert_eq!(place.texts("SELECT id FROM locks").await?, ["ledger"]);
    Ok(())
}

/// A release that knew fewer tables.
async fn an_older_version_is_brought_to_ours(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let before = ctldb.meta().await?;
    place.sql("DROP TABLE ctlstore_skips").await?;
    place.sql("UPDATE ctlstore_meta SET version = 0, min_compatible = 0").await?;
    assert_eq!(ctldb.migrate().await?, Migrated::Upgraded { from: 0 });
    assert_eq!(ctldb.meta().await?, before);
    assert_eq!(place.number("SELECT COUNT(*) FROM ctlstore_skips").await?, 0);
    assert_eq!(ctldb.migrate().await?, Migrated::Current);
    consistent(place, &ctldb).await
}

async fn a_newer_version_is_taken_if_it_says_so(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    place.sql("UPDATE ctlstore_meta SET version = 7, min_compatible = 1").await?;
    assert_eq!(ctldb.migrate().await?, Migrated::NewerButCompatible { version: 7 });
    shop(&ctldb).await?;
    assert_eq!(ctldb.meta().await?.version, 7, "a newer version is never lowered");

    place.sql("UPDATE ctlstore_meta SET min_compatible = 6").await?;
    let texts = ctldb.migrate().await.unwrap_err().to_string();
    assert!(texts.contains("0.6"), "it says which release is needed: {texts}");
    // Also who was running already when the others went on.
    for error in [
        ctldb.meta().await.unwrap_err(),
        ctldb.create_family(&crate::shape::family("new"), ctldb::Fence::Open).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::TooNew { min_compatible: 6, .. }), "{error}");
    }
    Ok(())
}

async fn a_database_of_the_original_is_left_untouched(place: &Place) -> Result<()> {
    // The original's own schema, as far as both databases understand it.
    place
        .sql(
            "CREATE TABLE families (id INTEGER PRIMARY KEY, name VARCHAR(191) NOT NULL UNIQUE);
             CREATE TABLE mutators (writer VARCHAR(191) NOT NULL PRIMARY KEY, secret VARCHAR(255), cookie BLOB, clock BIGINT NOT NULL DEFAULT 0);
             CREATE TABLE ctlstore_dml_ledger (seq INTEGER PRIMARY KEY, leader_ts DATETIME DEFAULT CURRENT_TIMESTAMP, statement TEXT NOT NULL);
             CREATE TABLE locks (id VARCHAR(191) NOT NULL PRIMARY KEY, clock BIGINT NOT NULL DEFAULT 0);
             INSERT INTO locks VALUES ('ledger', 41);
             INSERT INTO ctlstore_dml_ledger (seq, statement) VALUES (7, '--- BEGIN')",
        )
        .await?;
    let tables = match place {
        Place::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1",
        Place::Server(_) => {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1"
        }
    };
    let before = place.texts(tables).await?;
    let ctldb = place.open()?;
    let error = ctldb.migrate().await.unwrap_err();
    assert!(matches!(error, Error::Original), "{error}");
    assert!(error.to_string().contains("command to come"));
    let error = ctldb.meta().await.unwrap_err();
    assert!(matches!(error, Error::Original), "{error}");
    let error = ctldb.win_epoch().await.unwrap_err();
    assert!(matches!(error, Error::Original), "{error}");
    assert_eq!(place.texts(tables).await?, before);
    assert_eq!(place.lock_clock().await?, 41);
    assert_eq!(place.texts("SELECT seq FROM ctlstore_dml_ledger").await?, ["7"]);
    Ok(())
}

async fn processes_that_start_together_take_turns(place: &Place) -> Result<()> {
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let ctldb = place.open()?;
        starts.spawn(async move { ctldb.migrate().await });
    }
    let results = starts.join_all().await;
    let created = results.iter().filter(|result| matches!(result, Ok(Migrated::Created))).count();
    let current = results.iter().filter(|result| matches!(result, Ok(Migrated::Current))).count();
    assert_eq!((created, current), (1, 5), "{results:?}");
    shop(&place.open()?).await?;
    Ok(())
}

/// The tables compare text byte by byte whatever the server's own default is.
#[tokio::test]
async fn tables_have_a_no_pad_binary_collation() -> Result<()> {
    let place = Place::server()?;
    shop(&place.migrated().await?).await?;
    let collations = place
        .texts("SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() AND collation_name IS NOT NULL")
        .await?;
    assert_eq!(collations.len(), 1, "{collations:?}");
    let known = ["utf8mb4_nopad_bin", "utf8mb4_0900_bin"];
    assert!(known.contains(&collations[0].as_str()), "{collations:?}");
    Ok(())
}
