//! Calls that their caller no longer waits for: a client that hung up, a timeout above us.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::timeout;

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{batch, item, shop};

on_both!(a_batch_that_nobody_waits_for_is_whole_or_not_there);

async fn a_batch_that_nobody_waits_for_is_whole_or_not_there(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    // The shortest of some, for a busy machine makes one of them long.
    let mut whole = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        ctldb.mutate(&batch(vec![item(&items, "first", 1), item(&items, "second", 1)])).await?;
        whole = whole.min(start.elapsed());
    }
    let mut given_up = 0;
    for step in 0..60 {
        let rows = vec![item(&items, &format!("a{step}"), step), item(&items, "b", step)];
        let limit = whole * u32::try_from(step)? / 40;
        given_up += u32::from(timeout(limit, ctldb.mutate(&batch(rows))).await.is_err());
    }
    assert!(given_up >= 5, "only {given_up} calls were given up");
    // Nobody holds the lock, and no connection is left inside a transaction.
    let start = Instant::now();
    ctldb.mutate(&batch(vec![item(&items, "last", 1)])).await?;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    consistent(place, &ctldb).await
}
