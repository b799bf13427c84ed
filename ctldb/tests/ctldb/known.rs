//! A connection keeps what it read under the ledger lock. Whatever another process changes in between counts for the very
//! next batch all the same.

use std::sync::Arc;

use anyhow::Result;
use ctldb::{Batch, CtlDb, Error, Fence, Limits, Options, OwnerId, RateLimit, SizeLimit};
use ledger::{Chain, ColumnType, Seq, TableSchema};

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{
    add, author, batch, change, column, credentials, drop_table, family, item, shop,
};

on_both!(
    what_others_change_counts_for_the_next_batch,
    writers_in_turns_follow_each_other,
    what_is_known_gives_way_to_what_was_restored,
    a_counter_that_is_being_restored_is_not_passed_over,
);

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

    settle(&ours, &items).await?;
    let small = SizeLimit { max_bytes: 1, warn_bytes: 1 };
    others.set_table_limit(items.table(), Some(small), &OwnerId::Executive, Fence::Open).await?;
    // Not measured yet.
    settle(&ours, &items).await?;
    others.measure_table_sizes(Fence::Open).await?;
    let error = ours.mutate(&one()).await.unwrap_err();
    assert!(matches!(error, Error::TableFull { .. }), "{error:?}");
    others.set_table_limit(items.table(), None, &OwnerId::Executive, Fence::Open).await?;

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

/// A restore into a running server: no lock is taken, and its clock does not tell.
async fn what_is_known_gives_way_to_what_was_restored(place: &Place) -> Result<()> {
    const TABLES: [&str; 5] = [
        "ctlstore_batches",
        "ctlstore_dml_ledger",
        "ctlstore_meta",
        "ctlstore_writers",
        "mutators",
    ];
    let items = shop(&place.migrated().await?).await?;
    let ours = limited(place)?;
    let with_cookie = |number: i64| Batch {
        cookie: Some(number.to_string().into_bytes()),
        ..batch(vec![item(&items, "a", number)])
    };
    let first = ours.mutate(&with_cookie(1)).await?.mark;
    let all = |statement: &dyn Fn(&str) -> String| TABLES.map(statement).join("; ");
    place
        .sql(&all(&|table| format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")))
        .await?;
    let restore = all(&|table| {
        format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table}")
    });
    let restore = format!("BEGIN; {restore}; COMMIT");

    // Lost by the restore, and so not recognised as written.
    ours.mutate(&with_cookie(2)).await?;
    place.sql(&restore).await?;
    let again = ours.mutate(&with_cookie(2)).await?;
    assert!(!again.repeated);
    assert_eq!(again.mark.seq, first.seq.next().unwrap());
    // The next batch does not leave a gap.
    place.sql(&restore).await?;
    let next = ours.mutate(&with_cookie(3)).await?;
    assert_eq!(next.mark.seq, again.mark.seq);
    consistent(place, &ours).await?;

    // The same sequence, another entry.
    let chain = Chain::from_slice(&[7; 32]).unwrap();
    let (digest, bytes) = ("08".repeat(32), "07".repeat(32));
    let sql = format!("UPDATE ctlstore_meta SET last_digest = X'{digest}', chain = X'{bytes}'");
    place.sql(&sql).await?;
    let mark = ours.mutate(&with_cookie(4)).await?.mark;
    assert_eq!(ours.meta().await?.chain(), chain.link(mark.digest));
    assert_eq!(mark.seq, next.mark.seq.next().unwrap());
    Ok(())
}

async fn a_counter_that_is_being_restored_is_not_passed_over(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let ours = limited(place)?;
    place.sql("CREATE TABLE saved_meta AS SELECT * FROM ctlstore_meta").await?;
    place.sql("DELETE FROM saved_meta").await?;
    let last = settle(&ours, &items).await?;
    let take = "INSERT INTO saved_meta SELECT * FROM ctlstore_meta; DELETE FROM ctlstore_meta";
    place.sql(take).await?;
    let error = ours.mutate(&batch(vec![item(&items, "b", 1)])).await.unwrap_err();
    assert!(matches!(error, Error::NotMigrated), "{error:?}");
    place.sql("INSERT INTO ctlstore_meta SELECT * FROM saved_meta").await?;
    let mark = ours.mutate(&batch(vec![item(&items, "b", 1)])).await?.mark;
    assert_eq!(mark.seq, last.next().unwrap());
    consistent(place, &ours).await
}
