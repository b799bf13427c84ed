//! Batches of several writers in one transaction: each is judged and recorded as if it were alone, and none keeps another
//! back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use ctldb::{Batch, Credentials, CtlDb, Error, Secret};
use ledger::{ColumnType, Seq, TableSchema, WriterName};
use sqlx::{Connection as _, Executor as _};
use testkit::eventually;
use tokio::task::JoinSet;

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{batch, change, create, item, schema, shop};

on_both!(writers_share_a_lock_and_a_commit, whoever_gives_up_takes_nobody_along,);

const WRITERS: i64 = 16;
const BATCHES: i64 = 10;

async fn writer(ctldb: &CtlDb, index: i64) -> Result<Credentials> {
    let credentials = Credentials {
        writer: WriterName::parse(&format!("writer-{index}"))?,
        secret: Secret::from("secret"),
    };
    ctldb.register_writer(&credentials.writer, &credentials.secret).await?;
    ctldb.set_cookie(&credentials, b"0").await?;
    Ok(credentials)
}

fn write(who: &Credentials, items: &Arc<TableSchema>, index: i64, number: i64) -> Batch {
    let rows = vec![item(items, "shared", index), item(items, &format!("w{index}"), number)];
    Batch {
        credentials: who.clone(),
        check_cookie: Some((number - 1).to_string().into_bytes()),
        cookie: Some(number.to_string().into_bytes()),
        ..batch(rows)
    }
}

/// Good batches, and after each one a bad one of the same writer.
async fn work(ctldb: CtlDb, items: Arc<TableSchema>, who: Credentials, index: i64) -> Result<()> {
    let nowhere = schema("shop___nowhere", &[("id", ColumnType::String)], &["id"]);
    let nowhere =
        crate::shape::upsert(&Arc::new(nowhere), vec![ledger::Value::Text("a".to_owned())]);
    for number in 1..=BATCHES {
        let good = write(&who, &items, index, number);
        assert!(!ctldb.mutate(&good).await?.repeated);
        match number % 4 {
            0 => assert!(ctldb.mutate(&good).await?.repeated),
            1 => {
                let stale = Batch { cookie: Some(b"other".to_vec()), ..good };
                let error = ctldb.mutate(&stale).await.unwrap_err();
                assert!(matches!(error, Error::CookieConflict), "{error:?}");
            }
            2 => {
                let secret = Secret::from("wrong");
                let stranger = Batch { credentials: Credentials { secret, ..who.clone() }, ..good };
                let error = ctldb.mutate(&stranger).await.unwrap_err();
                assert!(matches!(error, Error::WriterNotFound), "{error:?}");
            }
            _ => {
                let lost = Batch { mutations: vec![nowhere.clone()], check_cookie: None, ..good };
                let error = ctldb.mutate(&lost).await.unwrap_err();
                assert!(matches!(error, Error::TableNotFound(_)), "{error:?}");
            }
        }
    }
    Ok(())
}

async fn writers_share_a_lock_and_a_commit(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let mut writers = Vec::new();
    for index in 0..WRITERS {
        writers.push(writer(&ctldb, index).await?);
    }
    let clock = place.lock_clock().await?;
    let mut tasks = JoinSet::new();
    for (index, who) in (0..).zip(writers) {
        tasks.spawn(work(ctldb.clone(), Arc::clone(&items), who, index));
    }
    for done in tasks.join_all().await {
        done?;
    }
    let batches = WRITERS * BATCHES;
    let locked = place.lock_clock().await? - clock;
    eprintln!("{batches} batches under {locked} locks");
    assert!(locked < batches, "each batch took the lock by itself: {locked}");
    let rows = place.number("SELECT COUNT(*) FROM ctlstore_batches").await?;
    assert_eq!(rows, 1 + batches, "each batch has a row of its own");
    let last = u64::try_from(1 + 4 * batches)?;
    assert_eq!(ctldb.meta().await?.last_seq().get(), last);
    assert_eq!(ctldb.entries(Seq::ZERO, 10_000).await?.len(), usize::try_from(last)?);
    consistent(place, &ctldb).await
}

/// The first one writes for itself and then hands over to those who wait; given up before that, too.
async fn whoever_gives_up_takes_nobody_along(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let mut tasks = Vec::new();
    let mut writers = Vec::new();
    for index in 0..6 {
        writers.push(writer(&ctldb, index).await?);
    }
    for who in &writers {
        // They are known, so that they go to the desk at once.
        let mut first = write(who, &items, 0, 1);
        first.cookie = Some(b"0".to_vec());
        ctldb.mutate(&first).await?;
    }
    let head = ctldb.meta().await?.last_seq();
    let holder = place.hold_the_ledger().await?;
    for (index, who) in (0..).zip(writers) {
        let (ctldb, write) = (ctldb.clone(), write(&who, &items, index, 1));
        tasks.push(tokio::spawn(async move { ctldb.mutate(&write).await }));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The one that waits for the lock, and one that waits for it.
    tasks.remove(3).abort();
    tasks.remove(0).abort();
    holder.release().await?;
    for task in tasks {
        task.await??;
    }
    let written = ctldb.meta().await?.last_seq().since(head);
    assert_eq!(written % 4, 0, "{written}");
    assert!((16..=24).contains(&written), "{written}");
    consistent(place, &ctldb).await
}

/// A stranger holds a row of one table: whoever writes another table gets on, and it, too, when the row is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_held_keeps_only_its_writer_back() -> Result<()> {
    let place = Place::server()?;
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let columns = [("id", ColumnType::String), ("price", ColumnType::Integer)];
    let beta = Arc::new(schema("shop___beta", &columns, &["id"]));
    change(&ctldb, &create(&beta)).await?;
    let (held, free) = (writer(&ctldb, 0).await?, writer(&ctldb, 1).await?);
    ctldb.mutate(&write(&held, &items, 0, 1)).await?;
    let mut stranger = place.connection().await?;
    stranger.execute("START TRANSACTION").await?;
    stranger.execute("UPDATE shop___items SET price = 7 WHERE id = 'w0'").await?;

    let start = Instant::now();
    let (db, blocked) = (ctldb.clone(), write(&held, &items, 0, 2));
    let blocked = tokio::spawn(async move { db.mutate(&blocked).await });
    for number in 1..=3 {
        ctldb.mutate(&write(&free, &beta, 1, number)).await?;
    }
    assert!(!blocked.is_finished(), "the row is held");
    assert!(start.elapsed() < Duration::from_secs(18), "{:?}", start.elapsed());
    stranger.execute("ROLLBACK").await?;
    stranger.close().await?;
    blocked.await??;
    eventually(Duration::from_secs(5), async || Ok(consistent(&place, &ctldb).await?)).await
}
