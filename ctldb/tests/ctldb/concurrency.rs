//! Many writers at once: no hole, no lost update, no stale read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Result;
use ctldb::{Batch, CtlDb, Error};
use ledger::{ColumnType, Row, TableSchema, Value};

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{add, batch, change, column, credentials, item, items, shop, upsert};

on_both!(
    sixteen_writers_see_what_was_committed_before_them,
    sixteen_writers_go_on_while_columns_are_added,
    two_users_ask_for_the_same_table,
);

const WRITERS: usize = 16;
const STEPS: i64 = 6;

/// Each step reads the cookie, a number, and writes the next under the condition that it is still so. A writer that
/// decided by a snapshot from before its lock would take a number that is taken.
async fn sixteen_writers_see_what_was_committed_before_them(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.set_cookie(&credentials(), b"0").await?;
    let handles = [place.open()?, place.open()?];
    let conflicts = Arc::new(AtomicI64::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for index in 0..WRITERS {
        let (ctldb, items) = (handles[index % 2].clone(), Arc::clone(&items));
        let conflicts = Arc::clone(&conflicts);
        writers.spawn(async move { count(&ctldb, &items, &conflicts).await });
    }
    for result in writers.join_all().await {
        result?;
    }
    let total = i64::try_from(WRITERS)? * STEPS;
    assert_eq!(ctldb.cookie(&credentials()).await?, total.to_string().as_bytes());
    assert_eq!(
        place.mirror(&items).await?,
        [vec![Value::Text("count".to_owned()), Value::Integer(total)]]
    );
    assert_eq!(ctldb.meta().await?.last_seq().get(), 1 + total.unsigned_abs());
    eprintln!("{total} steps, {} conflicts", conflicts.load(Ordering::SeqCst));
    consistent(place, &ctldb).await
}

async fn count(ctldb: &CtlDb, items: &Arc<TableSchema>, conflicts: &AtomicI64) -> Result<()> {
    for _ in 0..STEPS {
        loop {
            let cookie = ctldb.cookie(&credentials()).await?;
            let next = String::from_utf8(cookie.clone())?.parse::<i64>()? + 1;
            let write = Batch {
                check_cookie: Some(cookie),
                cookie: Some(next.to_string().into_bytes()),
                ..batch(vec![item(items, "count", next)])
            };
            match ctldb.mutate(&write).await {
                // Two that read the same number write the same rows: to the second, the first looks like itself.
                Ok(done) if done.repeated => {}
                Ok(_) => break,
                Err(Error::CookieConflict) => {}
                Err(error) => return Err(error.into()),
            }
            conflicts.fetch_add(1, Ordering::SeqCst);
        }
    }
    Ok(())
}

async fn sixteen_writers_go_on_while_columns_are_added(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let mut writers = tokio::task::JoinSet::new();
    for index in 0..WRITERS {
        let ctldb = if index % 2 == 0 { ctldb.clone() } else { place.open()? };
        writers.spawn(async move {
            for step in 0..STEPS {
                write_the_shape_of_now(&ctldb, &format!("w{index}s{step}")).await?;
            }
            anyhow::Ok(())
        });
    }
    let other = place.open()?;
    for index in 0..3 {
        let more = [
            column(&format!("a{index}"), ColumnType::Text),
            column(&format!("b{index}"), ColumnType::Integer),
        ];
        change(&other, &add(items().table(), &more)).await?;
    }
    for result in writers.join_all().await {
        result?;
    }
    let wide = ctldb.table(items().table()).await?.unwrap().schema;
    assert_eq!(wide.columns().len(), 8);
    assert_eq!(place.mirror(&wide).await?.len(), WRITERS * usize::try_from(STEPS)?);
    consistent(place, &ctldb).await
}

async fn write_the_shape_of_now(ctldb: &CtlDb, id: &str) -> Result<()> {
    loop {
        let now = Arc::new(ctldb.table(items().table()).await?.unwrap().schema);
        let value = |column: &ledger::Column| match column.name.as_str() {
            "id" => Value::Text(id.to_owned()),
            _ => Value::Null,
        };
        let row = Row::new(&now, now.columns().iter().map(value).collect())?;
        let rows = vec![upsert(&now, row.values().to_vec()), upsert(&now, row.values().to_vec())];
        match ctldb.mutate(&batch(rows)).await {
            Ok(_) => return Ok(()),
            Err(Error::SchemaMoved(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn two_users_ask_for_the_same_table(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let wanted = crate::shape::schema("shop___both", &[("id", ColumnType::Integer)], &["id"]);
    let mut users = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (ctldb, wanted) = (place.open()?, wanted.clone());
        users.spawn(async move { change(&ctldb, &crate::shape::create(&wanted)).await });
    }
    let results = users.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for error in results.into_iter().filter_map(Result::err) {
        assert!(error.is_conflict() || error.is_busy(), "{error:?}");
    }
    consistent(place, &ctldb).await
}
