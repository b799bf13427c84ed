//! What the promises cost: batches beside the same rows and texts written by bare sqlx under the same lock. Run it alone:
//! `cargo test --release -p ctldb --test ctldb -- --ignored speed --nocapture`. The server of the tests does not sync its
//! disk, so what it shows is round trips and little else: the worst case for us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use ctldb::CtlDb;
use ledger::{ColumnType, TableSchema};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::task::JoinSet;

use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{batch, change, create, item, schema, shop};

const ROUNDS: i64 = 40;

/// All rows by one statement, no audit row, no cookie, no registry.
async fn bare(server: &mut MySqlConnection, rows: i64, round: i64) -> Result<()> {
    server.execute("START TRANSACTION").await?;
    server.execute("UPDATE locks SET clock = clock + 1 WHERE id = 'ledger'").await?;
    let sql = "SELECT clock FROM locks WHERE id = 'counter'";
    let mut at: i64 = sqlx::query_scalar(sql).fetch_one(&mut *server).await?;
    let places =
        |one: &str, count: i64| (0..count).map(|_| one.to_owned()).collect::<Vec<_>>().join(", ");
    let sql = format!("REPLACE INTO shop___bare (id, price) VALUES {}", places("(?, ?)", rows));
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in 0..rows {
        query = query.bind(format!("row{row}")).bind(round);
    }
    query.execute(&mut *server).await?;
    let entries = if rows == 1 { 1 } else { rows + 2 };
    let sql = format!(
        "INSERT INTO bare_ledger (seq, leader_ts, statement) VALUES {}",
        places("(?, ?, ?)", entries)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in 0..entries {
        at += 1;
        query = query.bind(at).bind("2026-01-01 00:00:00.000000").bind(format!(
            r#"REPLACE INTO shop___items ("id","price") VALUES('row{row}',{round})"#
        ));
    }
    query.execute(&mut *server).await?;
    sqlx::query("UPDATE locks SET clock = ? WHERE id = 'counter'")
        .bind(at)
        .execute(&mut *server)
        .await?;
    server.execute("COMMIT").await?;
    Ok(())
}

async fn ours(ctldb: &CtlDb, items: &Arc<TableSchema>, rows: i64, round: i64) -> Result<()> {
    let rows = (0..rows).map(|row| item(items, &format!("row{row}"), round)).collect();
    ctldb.mutate(&batch(rows)).await?;
    Ok(())
}

/// The time of all rounds, by so many clients at once.
async fn bare_rounds(place: &Place, clients: i64, rows: i64) -> Result<Duration> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(place.connection().await?);
    }
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for mut connection in connections {
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                bare(&mut connection, rows, round).await?;
            }
            anyhow::Ok(connection)
        });
    }
    let connections = tasks.join_all().await;
    let time = start.elapsed();
    for connection in connections {
        connection?.close().await?;
    }
    Ok(time)
}

async fn our_rounds(
    ctldb: &CtlDb,
    items: &Arc<TableSchema>,
    clients: i64,
    rows: i64,
) -> Result<Duration> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..clients {
        let (ctldb, items) = (ctldb.clone(), Arc::clone(items));
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                ours(&ctldb, &items, rows, round).await?;
            }
            anyhow::Ok(())
        });
    }
    for done in tasks.join_all().await {
        done?;
    }
    Ok(start.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and wants the machine for itself"]
async fn a_batch_takes_little_more_than_bare_sqlx() -> Result<()> {
    let place = Place::server()?;
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let columns = [("id", ColumnType::String), ("price", ColumnType::Integer)];
    change(&ctldb, &create(&schema("shop___plain", &columns, &["id"]))).await?;
    place.sql("CREATE TABLE shop___bare LIKE shop___plain").await?;
    place.sql("CREATE TABLE bare_ledger LIKE ctlstore_dml_ledger").await?;
    place.sql("INSERT INTO locks VALUES ('counter', 0)").await?;
    let mut worst: f64 = 1.0;
    for (clients, rows) in [(1, 1), (1, 20), (16, 1), (16, 20), (4, 100)] {
        let mut best = [Duration::MAX; 2];
        for _ in 0..6 {
            best[0] = best[0].min(bare_rounds(&place, clients, rows).await?);
            best[1] = best[1].min(our_rounds(&ctldb, &items, clients, rows).await?);
        }
        let ratio = best[0].as_secs_f64() / best[1].as_secs_f64();
        let each = u32::try_from(ROUNDS * clients)?;
        let [bare, ours] = best.map(|time| time / each);
        eprintln!("{clients} clients, {rows} rows: bare {bare:?}, ours {ours:?}, {ratio:.2}");
        if clients > 1 {
            worst = worst.min(ratio);
        }
    }
    place.sql("DROP TABLE shop___bare").await?;
    consistent(&place, &ctldb).await?;
    assert!(worst >= 0.4, "{worst:.2} of the speed of bare sqlx");
    Ok(())
}
