//! Waiting for locks: who waits does not keep others from what needs no lock, and what was held is free again.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ctldb::{Connections, CtlDb, Error, Fence, LockWaits, Migrated, Options};
use ledger::{ColumnType, CtlDbUrl, FamilyName};
use sqlx::{Connection as _, Executor as _};
use testkit::mariadb::MariaDb;
use tokio::task::JoinSet;

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{add, batch, change, column, create, item, schema, shop, table};

on_both!(writers_who_wait_leave_connections_to_readers, who_waits_can_be_seen);

/// Holds what a writer of another process would hold, for so long.
async fn hold_the_ledger(place: &Place, time: Duration) -> Result<tokio::task::JoinHandle<()>> {
    let holder = place.hold_the_ledger().await?;
    Ok(tokio::spawn(async move {
        tokio::time::sleep(time).await;
        holder.release().await.unwrap();
    }))
}

/// Longer than a single try waits, on either back end.
async fn writers_who_wait_leave_connections_to_readers(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let start = Instant::now();
    let holder = hold_the_ledger(place, Duration::from_secs(8)).await?;
    let mut writers = JoinSet::new();
    for index in 0..20 {
        let (ctldb, items) = (ctldb.clone(), Arc::clone(&items));
        writers.spawn(async move {
            ctldb.mutate(&batch(vec![item(&items, &format!("w{index}"), index)])).await
        });
    }
    for _ in 0..12 {
        let asked = Instant::now();
        ctldb.meta().await?;
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(writers.try_join_next().is_none(), "nobody writes while another holds the lock");
    holder.await?;
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    consistent(place, &ctldb).await
}

async fn who_waits_can_be_seen(place: &Place) -> Result<()> {
    place.migrated().await?;
    let waits = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&waits);
    let lock_waits = LockWaits::told_to(move |waited| told.lock().unwrap().push(waited));
    // With four connections one writer at a time holds one; the others queue without.
    let options = Options { max_connections: 4, lock_waits, ..Options::default() };
    let ctldb = CtlDb::open_with(place.url()?, options)?;
    let none = Connections { open: 0, idle: 0, waiting: 0 };
    assert_eq!(ctldb.connections(), none);
    let holder = place.hold_the_ledger().await?;
    let mut writers = JoinSet::new();
    for name in ["one", "two", "three"] {
        let (ctldb, name) = (ctldb.clone(), FamilyName::parse(name)?);
        writers.spawn(async move { ctldb.create_family(&name, Fence::Open).await });
    }
    testkit::eventually(Duration::from_secs(10), async || {
        let Connections { open, idle, waiting } = ctldb.connections();
        ensure!((open - idle, waiting) == (1, 2), "{:?}", ctldb.connections());
        Ok(())
    })
    .await?;
    let held = Duration::from_millis(200);
    tokio::time::sleep(held).await;
    assert!(waits.lock().unwrap().is_empty(), "nobody has the lock yet");
    holder.release().await?;
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let waits = waits.lock().unwrap().clone();
    assert!(waits.len() == 3 && waits.iter().max() >= Some(&held), "{waits:?}");
    testkit::eventually(Duration::from_secs(10), async || {
        let Connections { open, idle, waiting } = ctldb.connections();
        ensure!(open == idle && open >= 1 && waiting == 0, "{:?}", ctldb.connections());
        Ok(())
    })
    .await
}

/// A long ALTER elsewhere: starts go on, and so does all but the change of tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_schema_lock_keeps_nobody_else_waiting() -> Result<()> {
    let place = Place::server()?;
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let mut other = place.connection().await?;
    let lock = "SELECT GET_LOCK(CONCAT('ctlstore:', LEFT(SHA2(DATABASE(), 256), 40)), 0)";
    other.execute(lock).await?;
    let mut changes = JoinSet::new();
    for index in 0..8 {
        let ctldb = ctldb.clone();
        changes.spawn(async move {
            let name = format!("shop___table{index}");
            let made = schema(&name, &[("id", ColumnType::Integer)], &["id"]);
            change(&ctldb, &create(&made)).await
        });
    }
    for _ in 0..6 {
        let start = Instant::now();
        ctldb.ping().await?;
        assert_eq!(place.open()?.migrate().await?, Migrated::Current);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    other.close().await?;
    while let Some(made) = changes.join_next().await {
        made??;
    }
    consistent(&place, &ctldb).await
}

/// What the server's operator set for all does not change what our statements do.
#[tokio::test]
async fn settings_of_the_server_do_not_reach_us() -> Result<()> {
    let server = MariaDb::start()?;
    server.sql(
        "SET GLOBAL sql_safe_updates = 1, GLOBAL sql_select_limit = 2, GLOBAL max_statement_time = 30, GLOBAL sql_mode = '', GLOBAL autocommit = 0, GLOBAL tx_isolation = 'SERIALIZABLE'",
    )?;
    let place = Place::Server(server.create_database()?);
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    for name in ["shop___one", "shop___two", "shop___three"] {
        change(&ctldb, &create(&schema(name, &[("id", ColumnType::Integer)], &["id"]))).await?;
    }
    assert_eq!(ctldb.tables(None).await?.len(), 4);
    ctldb.mutate(&batch(vec![item(&items, "a", 1), item(&items, "b", 2)])).await?;
    ctldb
        .clear_table(
            items.table(),
            &ctldb::OwnerId::Executive,
            &crate::shape::author(),
            ctldb::Fence::Open,
        )
        .await?;
    assert_eq!(place.number("SELECT COUNT(*) FROM shop___items").await?, 0);
    ctldb.verify().await?;
    Ok(())
}

/// The message says what to look at.
#[tokio::test]
async fn who_cannot_connect_is_told_why() -> Result<()> {
    let server = MariaDb::start()?;
    let name = server.create_database()?.name;
    server.sql("CREATE USER ctl@'%' IDENTIFIED BY 'right'")?;
    let open = |login: &str, name: &str| -> Result<CtlDb> {
        let url = format!("mysql://{login}@127.0.0.1:{}/{name}", server.port());
        let options =
            ctldb::Options { connect_timeout: Duration::from_secs(1), ..Default::default() };
        Ok(CtlDb::open_with(CtlDbUrl::parse(&url)?, options)?)
    };
    for refused in [open("ctl:wrong", &name)?, open("ctl:right", &name)?] {
        let error = refused.ping().await.unwrap_err();
        assert!(error.is_unavailable());
        let cause = std::error::Error::source(&error).context("no cause")?.to_string();
        assert!(cause.contains("check user, password and database"), "{cause}");
    }
    server.stop()?;
    let error = anyhow::Error::from(open("ctl:right", &name)?.ping().await.unwrap_err());
    assert!(format!("{error:#}").contains("refused"), "{error:#}");
    Ok(())
}

/// A row of the registry that a later release wrote stops only the work on its table.
#[tokio::test]
async fn a_table_that_we_cannot_read_stops_no_other() -> Result<()> {
    let place = Place::sqlite()?;
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let other = schema("shop___other", &[("id", ColumnType::Integer)], &["id"]);
    change(&ctldb, &create(&other)).await?;
    place
        .sql("UPDATE ctlstore_tables SET intent_json = '{\"id\":1}' WHERE table_name = 'shop___other'")
        .await?;
    change(&ctldb, &add(items.table(), &[column("more", ColumnType::Text)])).await?;
    let tables = ctldb.tables(None).await?;
    assert_eq!(
        tables.iter().map(|record| record.schema.table()).collect::<Vec<_>>(),
        [items.table()]
    );
    let error = ctldb.table(&table("shop___other")).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    Ok(())
}

/// All writers wait for it, so it may not take its time; and then nothing is half done.
#[tokio::test]
async fn a_table_too_large_to_clear_at_once_stays_as_it_was() -> Result<()> {
    let place = Place::server()?;
    let hasty = ctldb::Options { clear_timeout: Duration::ZERO, ..Default::default() };
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let clear = async |ctldb: &CtlDb| {
        ctldb
            .clear_table(
                items.table(),
                &ctldb::OwnerId::Executive,
                &crate::shape::author(),
                ctldb::Fence::Open,
            )
            .await
    };
    for part in 0..6 {
        let rows = (0..1000).map(|row| item(&items, &format!("{part}/{row}"), row)).collect();
        ctldb.mutate(&batch(rows)).await?;
    }
    let error = clear(&CtlDb::open_with(place.url()?, hasty)?).await.unwrap_err();
    assert!(matches!(error, Error::TooLargeToClear { .. }), "{error:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM shop___items").await?, 6000);
    consistent(&place, &ctldb).await?;
    clear(&ctldb).await?;
    assert_eq!(place.number("SELECT COUNT(*) FROM shop___items").await?, 0);
    consistent(&place, &ctldb).await
}
