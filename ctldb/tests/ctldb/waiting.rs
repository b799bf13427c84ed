//! Schema changes that must wait, and writers who must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use ctldb::{CrashPoints, CtlDb, Error, Fence};
use ledger::{ColumnType, CtlDbUrl, TableSchema};
use sqlx::{Connection as _, Executor as _};
use testkit::mariadb::MariaDb;

use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{
    add, batch, change, column, create, drop_table, item, ledger_texts, schema, shop,
};

/// A backup reads table A for a long time while A is altered and while others want to write A: B is written as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_to_b_do_not_wait_while_the_change_of_a_waits_for_a_backup() -> Result<()> {
    let place = Place::server()?;
    let ctldb = place.migrated().await?;
    let a = shop(&ctldb).await?;
    let columns = [("id", ColumnType::String), ("price", ColumnType::Integer)];
    let b = Arc::new(schema("shop___beta", &columns, &["id"]));
    change(&ctldb, &create(&b)).await?;
    ctldb.mutate(&batch(vec![item(&a, "x", 1), item(&b, "x", 1)])).await?;

    let mut backup = place.connection().await?;
    backup.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    backup.fetch_all("SELECT * FROM shop___items").await?;

    let done = Arc::new(AtomicBool::new(false));
    let writer_of_a = tokio::spawn(write_until(place.open()?, Arc::clone(&a), Arc::clone(&done)));
    let writer_of_b = tokio::spawn(write_until(place.open()?, Arc::clone(&b), Arc::clone(&done)));
    let more = add(a.table(), &[column("note", ColumnType::Text)]);
    let error = change(&ctldb, &more).await.unwrap_err();
    done.store(true, Ordering::SeqCst);
    let Error::WaitingForLock { blocker, .. } = &error else { panic!("{error:?}") };
    assert!(blocker.contains("connection"), "{blocker}");
    assert!(error.is_busy());
    let mut times = writer_of_b.await??;
    times.sort();
    assert!(times.len() >= 100, "only {} writes, too few to judge", times.len());
    let p99 = times[times.len() * 99 / 100];
    eprintln!(
        "{} writes to B while A waited for {blocker}: median {:?}, p99 {p99:?}, worst {:?}",
        times.len(),
        times[times.len() / 2],
        times[times.len() - 1]
    );
    assert!(p99 <= Duration::from_millis(100), "p99 {p99:?}");

    // The backup ends; the change is finished as it was written.
    backup.execute("COMMIT").await?;
    backup.close().await?;
    writer_of_a.await??;
    assert_eq!(ctldb.finish_intents(Fence::Open).await?, [a.table().clone()]);
    let texts = ledger_texts(&ctldb).await?;
    let added = texts.iter().filter(|text| text.starts_with("ALTER TABLE")).count();
    assert_eq!(added, 1);
    consistent(&place, &ctldb).await
}

/// Writes rows until it is told to stop; says how long each took.
async fn write_until(
    ctldb: CtlDb,
    table: Arc<TableSchema>,
    done: Arc<AtomicBool>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while !done.load(Ordering::SeqCst) {
        let start = Instant::now();
        let id = format!("w{}", times.len() % 50);
        ctldb.mutate(&batch(vec![item(&table, &id, 1), item(&table, "same", 2)])).await?;
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(times)
}

#[tokio::test]
async fn a_drop_that_waits_keeps_rows_away_and_other_changes_go_on() -> Result<()> {
    let place = Place::server()?;
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let mut reader = place.connection().await?;
    reader.execute("START TRANSACTION").await?;
    reader.fetch_all("SELECT * FROM shop___items").await?;

    let error = change(&ctldb, &drop_table(items.table())).await.unwrap_err();
    assert!(matches!(error, Error::WaitingForLock { .. }), "{error}");
    let error = ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await.unwrap_err();
    assert!(matches!(error, Error::SchemaBusy { .. }), "{error}");
    let other = schema("shop___other", &[("id", ColumnType::Integer)], &["id"]);
    change(&ctldb, &create(&other)).await?;
    assert_eq!(ctldb.finish_intents(Fence::Open).await?, []);

    reader.close().await?;
    assert_eq!(ctldb.finish_intents(Fence::Open).await?, [items.table().clone()]);
    assert_eq!(ctldb.table(items.table()).await?, None);
    consistent(&place, &ctldb).await
}

/// What our own limits let through and the server does not: columns that came behind our back fill the row already.
#[tokio::test]
async fn what_the_server_refuses_leaves_nothing_behind() -> Result<()> {
    let place = Place::server()?;
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let foreign: Vec<_> =
        (0..80).map(|index| format!("ADD COLUMN foreign{index} VARCHAR(191)")).collect();
    place.sql(&format!("ALTER TABLE shop___items {}", foreign.join(", "))).await?;
    let ours: Vec<_> =
        (0..20).map(|index| column(&format!("ours{index}"), ColumnType::ByteString)).collect();
    let error = change(&ctldb, &add(items.table(), &ours)).await.unwrap_err();
    assert!(matches!(error, Error::Ddl { .. }), "{error:?}");
    assert!(error.to_string().contains("ow size"), "{error}");
    assert_eq!(ctldb.table(items.table()).await?.unwrap().intent, None);
    assert_eq!(ledger_texts(&ctldb).await?.len(), 1);
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;
    Ok(())
}

/// The executive's database user has no right to change tables: it neither makes one nor gives up an operator's change.
#[tokio::test]
async fn who_may_not_change_tables_leaves_the_changes_of_others() -> Result<()> {
    let server = MariaDb::shared();
    let database = server.create_database()?;
    let name = &database.name;
    let user = testkit::random_name();
    server.sql(&format!(
        "CREATE USER {user}@'%'; GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {user}@'%'"
    ))?;
    let place = Place::Server(database.clone());
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let url = format!("mysql://{user}@127.0.0.1:{}/{name}", server.port());
    let limited = CtlDb::open(CtlDbUrl::parse(&url)?)?;
    limited.mutate(&batch(vec![item(&items, "a", 1)])).await?;

    let other = schema("shop___other", &[("id", ColumnType::Integer)], &["id"]);
    let error = change(&limited, &create(&other)).await.unwrap_err();
    assert!(matches!(error, Error::Database { .. }), "{error:?}");
    assert_eq!(ctldb.table(other.table()).await?, None, "its own change is withdrawn");

    let stop = |point| point == "change: before the DDL";
    let operator = place.open_with_crashes(CrashPoints::new(stop))?;
    let more = add(items.table(), &[column("note", ColumnType::Text)]);
    assert!(matches!(change(&operator, &more).await, Err(Error::Crashed(_))));
    assert_eq!(limited.finish_intents(Fence::Open).await?, []);
    assert!(ctldb.table(items.table()).await?.unwrap().intent.is_some());
    assert_eq!(ctldb.finish_intents(Fence::Open).await?, [items.table().clone()]);
    consistent(&place, &ctldb).await
}
