//! Batches of rows: framing, order, audit, and what is refused.

use std::sync::Arc;

use anyhow::Result;
use ctldb::{Batch, Error, MAX_COOKIE_BYTES, MAX_STATEMENT_BYTES};
use ledger::{ColumnType, Entry, Seq, Value};

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{
    author, batch, change, create, delete, family, item, ledger_texts, schema, shop, upsert,
};

on_both!(
    one_mutation_stands_alone_and_more_are_framed,
    the_same_row_twice_in_a_batch_keeps_the_last,
    rows_are_written_in_their_order_however_they_are_packed,
    every_batch_says_who_did_it,
    a_refused_batch_leaves_no_hole,
    an_impossible_batch_is_refused_before_the_lock,
    a_table_being_made_or_dropped_is_busy_before_the_lock,
    a_batch_of_another_shape_is_refused,
    many_rows_make_one_batch,
    without_the_lock_row_nothing_is_written,
    a_writer_of_other_families_is_refused,
);

async fn one_mutation_stands_alone_and_more_are_framed(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let one = ctldb.mutate(&batch(vec![item(&items, "it's", 1)])).await?;
    assert_eq!((one.first_seq.get(), one.mark.seq.get(), one.repeated), (2, 2, false));
    let key = vec![Value::Text("it's".to_owned())];
    let two = ctldb.mutate(&batch(vec![item(&items, "b", 2), delete(&items, key)])).await?;
    assert_eq!((two.first_seq.get(), two.mark.seq.get()), (3, 6));
    assert_eq!(
        ledger_texts(&ctldb).await?[1..],
        [
            r#"REPLACE INTO shop___items ("id","price") VALUES('it''s',1)"#,
            "--- BEGIN",
            r#"REPLACE INTO shop___items ("id","price") VALUES('b',2)"#,
            r#"DELETE FROM shop___items WHERE "id" = 'it''s'"#,
            "--- COMMIT"
        ]
    );
    let last = ctldb.entries(Seq::new(5).unwrap(), 10).await?;
    assert_eq!(last.iter().map(Entry::digest).collect::<Vec<_>>(), [two.mark.digest]);
    assert_eq!(place.mirror(&items).await?, [vec![Value::Text("b".to_owned()), Value::Integer(2)]]);
    let verified = ctldb.verify().await?;
    assert_eq!((verified.first.get(), verified.last.get(), verified.entries), (1, 6, 6));
    Ok(())
}

async fn the_same_row_twice_in_a_batch_keeps_the_last(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1), item(&items, "a", 2)])).await?;
    assert_eq!(place.mirror(&items).await?, [vec![Value::Text("a".to_owned()), Value::Integer(2)]]);
    assert_eq!(ledger_texts(&ctldb).await?.len(), 5);
    Ok(())
}

/// Runs of upserts of any length, broken by deletes, by another table and by the size of values, over few keys.
async fn rows_are_written_in_their_order_however_they_are_packed(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let columns: Vec<_> = (0..60).map(|index| format!("c{index}")).collect();
    let mut columns: Vec<_> =
        columns.iter().map(|name| (name.as_str(), ColumnType::Integer)).collect();
    columns.push(("text", ColumnType::Text));
    let wide = Arc::new(schema("shop___wide", &columns, &["c0"]));
    change(&ctldb, &create(&wide)).await?;
    let mut rows = Vec::new();
    for run in 0..70_i64 {
        for index in 0..run {
            rows.push(item(&items, &format!("i{}", index % 50), run * 100 + index));
        }
        rows.push(delete(&items, vec![Value::Text(format!("i{}", run % 50))]));
        let mut row = vec![Value::Integer(run); 60];
        row[0] = Value::Integer(run % 7);
        row.push(Value::Text("x".repeat(usize::try_from(run)? * 10_000)));
        for _ in 0..run % 3 {
            rows.push(upsert(&wide, row.clone()));
        }
    }
    ctldb.mutate(&batch(rows)).await?;
    assert_eq!(place.mirror(&items).await?.len(), 49);
    assert_eq!(place.mirror(&wide).await?.len(), 7);
    consistent(place, &ctldb).await
}

async fn every_batch_says_who_did_it(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let key = vec![Value::Text("a".to_owned())];
    let mut write = batch(vec![item(&items, "a", 1), item(&items, "b", 1), delete(&items, key)]);
    write.author.writer = Some(write.credentials.writer.clone());
    write.author.principal = "ö".repeat(300);
    write.author.reason = None;
    ctldb.mutate(&write).await?;
    let column = |name: &str| format!("SELECT {name} FROM ctlstore_batches ORDER BY first_seq");
    assert_eq!(place.texts(&column("first_seq")).await?, ["1", "2"]);
    assert_eq!(place.texts(&column("last_seq")).await?, ["1", "6"]);
    assert_eq!(place.texts(&column("writer")).await?, ["NULL", "writer1"]);
    assert_eq!(place.texts(&column("principal")).await?, ["tester", &"ö".repeat(191)]);
    assert_eq!(place.texts(&column("source_address")).await?, ["127.0.0.1", "127.0.0.1"]);
    assert_eq!(place.texts(&column("request_id")).await?, ["r1", "r1"]);
    assert_eq!(place.texts(&column("reason")).await?, ["a test", "NULL"]);
    assert_eq!(place.texts(&column("upserts")).await?, ["0", "2"]);
    assert_eq!(place.texts(&column("deletes")).await?, ["0", "1"]);
    Ok(())
}

async fn a_refused_batch_leaves_no_hole(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let before = ctldb.meta().await?;
    let other = Arc::new(schema("shop___other", &[("id", ColumnType::String)], &["id"]));
    change(&ctldb, &create(&other)).await?;
    // The mirror table is damaged behind our back: the database refuses the second row of the batch.
    place.sql("DROP TABLE shop___other").await?;
    let lost = upsert(&other, vec![Value::Text("x".to_owned())]);
    let error = ctldb.mutate(&batch(vec![item(&items, "a", 1), lost])).await.unwrap_err();
    assert!(matches!(error, Error::Database { .. }), "{error}");
    assert_eq!(place.mirror(&items).await?, Vec::<Vec<Value>>::new());
    let next = ctldb.mutate(&batch(vec![item(&items, "b", 1)])).await?;
    assert_eq!(next.first_seq.get(), before.last_seq().get() + 2);
    assert_eq!(ledger_texts(&ctldb).await?.len(), 3);
    ctldb.verify().await?;
    Ok(())
}

async fn an_impossible_batch_is_refused_before_the_lock(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let clock = place.lock_clock().await?;
    let refused = async |batch: Batch| ctldb.mutate(&batch).await.unwrap_err();

    let error = refused(batch(vec![])).await;
    assert!(matches!(error, Error::EmptyBatch), "{error}");

    let other = Batch { family: family("other"), ..batch(vec![item(&items, "a", 1)]) };
    let error = refused(other).await;
    assert!(matches!(error, Error::OtherFamily { .. }), "{error}");

    let long = vec![b'c'; MAX_COOKIE_BYTES + 1];
    let cookie = Batch { cookie: Some(long.clone()), ..batch(vec![item(&items, "a", 1)]) };
    let error = refused(cookie).await;
    assert!(matches!(error, Error::CookieTooLong { bytes: 1025 }), "{error}");
    let check = Batch { check_cookie: Some(long), ..batch(vec![item(&items, "a", 1)]) };
    let error = refused(check).await;
    assert!(matches!(error, Error::CookieTooLong { .. }), "{error}");

    let mut stranger = batch(vec![item(&items, "a", 1)]);
    stranger.credentials.secret = "another".into();
    let error = refused(stranger).await;
    assert!(matches!(error, Error::WriterNotFound), "{error}");

    let unknown = Arc::new(schema("shop___none", &[("id", ColumnType::String)], &["id"]));
    let error = refused(batch(vec![upsert(&unknown, vec![Value::Text("a".to_owned())])])).await;
    assert!(matches!(error, Error::TableNotFound(_)), "{error}");

    let texts = Arc::new(schema(
        "shop___items",
        &[("id", ColumnType::String), ("long", ColumnType::Text)],
        &["id"],
    ));
    let long = "x".repeat(MAX_STATEMENT_BYTES);
    let row = vec![Value::Text("a".to_owned()), Value::Text(long)];
    let error = refused(batch(vec![upsert(&texts, row)])).await;
    assert!(matches!(error, Error::StatementTooLarge { .. }), "{error}");

    assert_eq!(place.lock_clock().await?, clock, "nobody may hold up writers with such a batch");
    Ok(())
}

async fn a_table_being_made_or_dropped_is_busy_before_the_lock(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    for kind in [r#""Create""#, r#""Drop""#] {
        let intent = format!(
            r#"{{"id":"5e0bd7a4-94a1-4ba4-9d3c-3ad4a52bcd6c","kind":{kind},"author":{{"writer":null,"principal":"p","source_address":"","request_id":"","reason":null}}}}"#
        );
        place.sql(&format!("UPDATE ctlstore_tables SET intent_json = '{intent}'")).await?;
        let clock = place.lock_clock().await?;
        let error = ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await.unwrap_err();
        assert!(matches!(error, Error::SchemaBusy { .. }), "{error}");
        assert!(error.is_busy());
        let error = ctldb
            .clear_table(items.table(), &ctldb::OwnerId::Executive, &author(), ctldb::Fence::Open)
            .await
            .unwrap_err();
        assert!(error.is_busy(), "{error}");
        assert_eq!(place.lock_clock().await?, clock);
    }
    Ok(())
}

async fn a_batch_of_another_shape_is_refused(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let other = Arc::new(schema(
        "shop___items",
        &[("id", ColumnType::String), ("price", ColumnType::Decimal)],
        &["id"],
    ));
    let row = upsert(&other, vec![Value::Text("a".to_owned()), Value::Decimal(1.5)]);
    let error = ctldb.mutate(&batch(vec![row])).await.unwrap_err();
    assert!(matches!(error, Error::SchemaMoved(_)), "{error}");
    assert!(error.is_conflict());
    assert_eq!(ledger_texts(&ctldb).await?.len(), 1);
    Ok(())
}

async fn many_rows_make_one_batch(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let rows = (0..1000).map(|index| item(&items, &format!("i{index:04}"), index)).collect();
    let done = ctldb.mutate(&batch(rows)).await?;
    assert_eq!((done.first_seq.get(), done.mark.seq.get()), (2, 1003));
    assert_eq!(place.mirror(&items).await?.len(), 1000);
    let page = ctldb.entries(Seq::new(999).unwrap(), 3).await?;
    assert_eq!(page.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), [1000, 1001, 1002]);
    assert_eq!(ctldb.verify().await?.entries, 1003);
    Ok(())
}

async fn without_the_lock_row_nothing_is_written(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    place.sql("DELETE FROM locks").await?;
    let error = ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await.unwrap_err();
    assert!(matches!(error, Error::LedgerLock), "{error}");
    let error = ctldb.create_family(&family("other"), ctldb::Fence::Open).await.unwrap_err();
    assert!(matches!(error, Error::LedgerLock), "{error}");
    assert_eq!(place.mirror(&items).await?, Vec::<Vec<Value>>::new());
    Ok(())
}

async fn a_writer_of_other_families_is_refused(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    place.sql(r#"UPDATE ctlstore_writers SET families_json = '["other"]'"#).await?;
    let error = ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await.unwrap_err();
    assert!(matches!(error, Error::WriterBound { .. }), "{error}");
    place.sql(r#"UPDATE ctlstore_writers SET families_json = '["other","shop"]'"#).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;
    Ok(())
}
