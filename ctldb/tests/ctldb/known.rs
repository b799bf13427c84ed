//! A connection keeps what it read under the ledger lock. Whatever another process changes in between counts for the very
//! next batch all the same.

use std::sync::Arc;

use anyhow::Result;
use ctldb::{Batch, CtlDb, Error, Fence, Limits, Options, OwnerId, RateLimit};
use ledger::{ColumnType, Seq, TableSchema};

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{
    add, author, batch, change, column, credentials, drop_table, family, item, shop,
};

on_both!(what_others_change_counts_for_the_next_batch, writers_in_turns_follow_each_other,);

fn limited(place: &Place) -> Result<CtlDb> {
    let limits = Some(Limits::default());
    Ok(CtlDb::open_with(place.url()?, Options { limits, ..Options::default() })?)
}

/// Three batches in a row: the last ones are judged by what is kept from those before.
async fn settle(ctldb: &CtlDb, items: &Arc<TableSchema>) -> Result<Seq> {
    for price in 0..2 {
        ctldb.mutate(&batch(vec![item(items, "a", price)])).await?;
    }
    Ok(ctldb.mutate(&batch(vec![item(items, "a", 2)])).await?.mark.seq)
}

async fn what_others_change_counts_for_the_next_batch(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let writer = credentials().writer;
    let (ours, others) = (limited(place)?, limited(place)?);
    let one = || batch(vec![item(&items, "b", 1)]);

    settle(&ours, &items).await?;
    others.set_cookie(&credentials(), b"theirs").await?;
    let stale = Batch { check_cookie: Some(b"ours".to_vec()), ..one() };
    let error = ours.mutate(&stale).await.unwrap_err();
    assert!(matches!(error, Error::CookieConflict), "{error:?}");

    settle(&ours, &items).await?;
    others.bind_writer(&writer, Some(vec![family("other")])).await?;
    let error = ours.mutate(&one()).await.unwrap_err();
    assert!(matches!(error, Error::WriterBound { .. }), "{error:?}");
    others.bind_writer(&writer, None).await?;

    settle(&ours, &items).await?;
    let none = RateLimit { rows: 0, ..RateLimit::default() };
    others.set_writer_limit(&writer, Some(none), &OwnerId::Executive, Fence::Open).await?;
    let error = ours.mutate(&one()).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error:?}");
    others.set_writer_limit(&writer, None, &OwnerId::Executive, Fence::Open).await?;

    let before = settle(&ours, &items).await?;
    let history = others.new_history(Seq::try_from(1000_i64)?, &author()).await?;
    let mark = ours.mutate(&one()).await?.mark;
    assert_eq!(mark.history, history);
    assert!(mark.seq > Seq::try_from(1000_i64)? && mark.seq > before, "{mark:?}");

    settle(&ours, &items).await?;
    change(&others, &add(items.table(), &[column("note", ColumnType::String)])).await?;
    let error = ours.mutate(&one()).await.unwrap_err();
    assert!(matches!(error, Error::SchemaMoved(_)), "{error:?}");
    let record = ours.table(items.table()).await?;
    settle_moved(&ours, record.map(|record| record.schema)).await?;
    change(&others, &drop_table(items.table())).await?;
    let error = ours.mutate(&one()).await.unwrap_err();
    assert!(matches!(error, Error::TableNotFound(_)), "{error:?}");
    ours.verify().await?;
    Ok(())
}

async fn settle_moved(ctldb: &CtlDb, schema: Option<TableSchema>) -> Result<()> {
    let schema = Arc::new(schema.expect("the table is there"));
    let row = || {
        let values =
            vec![ledger::Value::Text("c".to_owned()), ledger::Value::Null, ledger::Value::Null];
        crate::shape::upsert(&schema, values)
    };
    for _ in 0..3 {
        ctldb.mutate(&batch(vec![row()])).await?;
    }
    Ok(())
}

/// One writer by two processes: each follows the other's cookie, and rows are counted once.
async fn writers_in_turns_follow_each_other(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let both = [limited(place)?, limited(place)?];
    let first = place.migrated().await?;
    first.set_cookie(&credentials(), b"0").await?;
    for number in 1..=40_u32 {
        let before = (number - 1).to_string().into_bytes();
        let next = Batch {
            check_cookie: Some(before),
            cookie: Some(number.to_string().into_bytes()),
            ..batch(vec![item(&items, "a", i64::from(number))])
        };
        // Now in turns, now several in a row.
        let ctldb = &both[usize::try_from((number / 3 + number % 2) % 2)?];
        assert!(!ctldb.mutate(&next).await?.repeated);
        assert!(ctldb.mutate(&next).await?.repeated);
    }
    assert_eq!(place.number("SELECT SUM(amount) FROM writer_usage").await?, 40);
    consistent(place, &both[0]).await
}
