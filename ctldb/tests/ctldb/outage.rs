//! The server goes away, comes back, freezes, and dies in the middle of work. It has a server of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use ctldb::{Batch, CtlDb, Options};
use ledger::{CtlDbUrl, Seq};
use testkit::eventually;
use testkit::mariadb::MariaDb;

use crate::shape::{batch, credentials, item, items, shop};

fn impatient(url: &str) -> Result<CtlDb> {
    let options = Options {
        connect_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
        patience: Duration::from_secs(1),
        ..Options::default()
    };
    Ok(CtlDb::open_with(CtlDbUrl::parse(url)?, options)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_is_survived() -> Result<()> {
    let server = MariaDb::start()?;
    let ctldb = impatient(&server.create_database()?.url)?;
    ctldb.migrate().await?;
    let items = shop(&ctldb).await?;
    server.stop()?;
    let start = Instant::now();
    let error = ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(ctldb.ping().await.unwrap_err().is_unavailable());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    server.restart()?;
    eventually(Duration::from_secs(10), async || Ok(ctldb.ping().await?)).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;

    // Frozen, it accepts connections and answers nothing.
    server.sigstop()?;
    let start = Instant::now();
    let error = ctldb.mutate(&batch(vec![item(&items, "b", 1)])).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    server.sigcont()?;
    eventually(Duration::from_secs(10), async || Ok(ctldb.ping().await?)).await?;
    ctldb.mutate(&batch(vec![item(&items, "b", 1)])).await?;
    ctldb.verify().await?;
    Ok(())
}

/// Idle connections are cut by the server after 10 s; nobody notices.
#[tokio::test]
async fn connections_that_the_server_cut_are_not_used() -> Result<()> {
    let server = MariaDb::start()?;
    let ctldb = impatient(&server.create_database()?.url)?;
    ctldb.migrate().await?;
    let items = shop(&ctldb).await?;
    for price in 0..3 {
        let ids = server.sql(
            "SELECT GROUP_CONCAT(id) FROM information_schema.processlist WHERE command = 'Sleep'",
        )?;
        for id in ids.split(',').filter(|id| *id != "NULL" && !id.is_empty()) {
            server.sql(&format!("KILL {id}")).ok();
        }
        ctldb.mutate(&batch(vec![item(&items, "a", price)])).await?;
    }
    Ok(())
}

/// Killed in the middle of load: whatever was acknowledged is there once, whatever is there is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_batch_survives_the_death_of_the_server() -> Result<()> {
    let server = MariaDb::start()?;
    let url = server.create_database()?.url;
    let ctldb = CtlDb::open(CtlDbUrl::parse(&url)?)?;
    ctldb.migrate().await?;
    shop(&ctldb).await?;
    ctldb.set_cookie(&credentials(), b"0").await?;
    let mut count = 0;
    for _ in 0..5 {
        let over = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(count_on(ctldb.clone(), count, Arc::clone(&over)));
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.restart()?;
        over.store(true, Ordering::SeqCst);
        count = writer.await??;
    }
    assert!(count >= 10, "only {count} batches");
    eventually(Duration::from_secs(10), async || Ok(ctldb.ping().await?)).await?;
    ctldb.verify().await?;
    // Each number once, in order: none lost, none twice.
    let entries = ctldb.entries(Seq::FIRST, 1_000_000).await?;
    let wanted = (1..=count)
        .map(|n| format!(r#"REPLACE INTO shop___items ("id","price") VALUES('count',{n})"#));
    assert_eq!(
        entries.into_iter().map(|entry| entry.statement).collect::<Vec<_>>(),
        wanted.collect::<Vec<_>>()
    );
    Ok(())
}

/// Writes numbers under cookies, as a correct client: after any error it sends the same batch again. Ends with the first
/// batch after the outage.
async fn count_on(ctldb: CtlDb, mut count: i64, over: Arc<AtomicBool>) -> Result<i64> {
    let items = Arc::new(items());
    loop {
        let write = Batch {
            check_cookie: Some(count.to_string().into_bytes()),
            cookie: Some((count + 1).to_string().into_bytes()),
            ..batch(vec![item(&items, "count", count + 1)])
        };
        match ctldb.mutate(&write).await {
            Ok(_) => {
                count += 1;
                if over.load(Ordering::SeqCst) {
                    return Ok(count);
                }
            }
            Err(error) if error.is_unavailable() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[tokio::test]
async fn a_rotated_password_is_taken_up() -> Result<()> {
    let server = MariaDb::start()?;
    let database = server.create_database()?;
    let name = &database.name;
    server.sql(&format!(
        "CREATE USER ctl@'%' IDENTIFIED BY 'p#1?'; GRANT ALL ON {name}.* TO ctl@'%'"
    ))?;
    let url = |password: &str| {
        CtlDbUrl::parse(&format!("mysql://ctl:{password}@127.0.0.1:{}/{name}", server.port()))
    };
    let ctldb = CtlDb::open(url("p%231%3F")?)?;
    ctldb.migrate().await?;
    server.sql("ALTER USER ctl@'%' IDENTIFIED BY 'p2'")?;
    ctldb.replace_url(url("wrong")?).await;
    let error = ctldb.ping().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(!format!("{error:?} {ctldb:?}").contains("wrong"));
    ctldb.replace_url(url("p2")?).await;
    ctldb.ping().await?;
    Ok(())
}
