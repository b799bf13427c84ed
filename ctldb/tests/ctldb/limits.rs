//! What writers and tables are held to: rows in a window, bytes on disk, and who may say so.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use ctldb::{
    Batch, Credentials, CtlDb, Error, Fence, Limits, Options, OwnerId, RateLimit, Secret,
    SizeLimit, TableMutation, WriterLimit,
};
use ledger::{TableSchema, Value, WriterName};

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{batch, credentials, delete, item, shop, table};

on_both!(
    rows_are_counted_for_all_processes_together,
    a_limit_of_its_own_takes_the_place_of_the_default,
    a_writers_limit_is_the_objects_that_set_it,
    a_repetition_is_no_more_rows,
    a_full_table_takes_deletes_only,
    tables_are_measured,
    limits_are_listed_with_who_set_them,
);

/// A day, so that no test sees two windows but at midnight.
const DAY: Duration = Duration::from_secs(24 * 3600);

fn limited(place: &Place, rows: u64) -> Result<CtlDb> {
    let limits = Limits { rate: RateLimit { rows, period: DAY }, size: SizeLimit::default() };
    let options = Options { limits: Some(limits), ..Options::default() };
    Ok(CtlDb::open_with(place.url()?, options)?)
}

fn rows(items: &Arc<TableSchema>, count: i64) -> Vec<TableMutation> {
    (0..count).map(|row| item(items, &format!("row{row}"), row)).collect()
}

async fn rows_are_counted_for_all_processes_together(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let (one, other) = (limited(place, 5)?, limited(place, 5)?);
    one.mutate(&batch(rows(&items, 3))).await?;
    for ctldb in [&one, &other] {
        let head = ctldb.meta().await?.last_seq();
        let error = ctldb.mutate(&batch(rows(&items, 3))).await.unwrap_err();
        let Error::RateLimited { writer, limit, retry_after } = &error else { panic!("{error:?}") };
        assert_eq!((writer, limit.rows), (&credentials().writer, 5));
        assert!(!retry_after.is_zero() && *retry_after <= DAY, "{retry_after:?}");
        assert_eq!(ctldb.meta().await?.last_seq(), head, "nothing was written");
    }
    // What was refused was not counted.
    let deletes = vec![delete(&items, vec![Value::Text("row0".to_owned())]); 2];
    other.mutate(&batch(deletes)).await?;
    assert_eq!(place.number("SELECT amount FROM writer_usage").await?, 5);
    one.mutate(&batch(rows(&items, 1))).await.unwrap_err();
    // Who writes on nobody's behalf is held to nothing.
    place.open()?.mutate(&batch(rows(&items, 9))).await?;
    consistent(place, &one).await
}

async fn a_limit_of_its_own_takes_the_place_of_the_default(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let ctldb = limited(place, 5)?;
    let writer = credentials().writer;
    ctldb.mutate(&batch(rows(&items, 5))).await?;
    // Counted in the same window: 1,440 a day is one a minute.
    let own = RateLimit { rows: 1440, period: DAY };
    let set = async |writer: &WriterName, limit| {
        ctldb.set_writer_limit(writer, limit, &OwnerId::Executive, Fence::Open).await
    };
    assert!(!set(&writer, Some(own)).await?);
    ctldb.mutate(&batch(rows(&items, 1435))).await?;
    ctldb.mutate(&batch(rows(&items, 1))).await.unwrap_err();
    let minute = RateLimit { rows: 1, period: Duration::from_secs(60) };
    let set_by = OwnerId::Executive;
    let listed = WriterLimit { writer: writer.clone(), limit: minute, set_by };
    assert_eq!(ctldb.writer_limits().await?, [listed]);
    assert!(set(&writer, Some(RateLimit { rows: 2, ..minute })).await?);
    ctldb.mutate(&batch(rows(&items, 1))).await?;
    assert!(set(&writer, None).await?);
    assert!(!set(&writer, None).await?);
    ctldb.mutate(&batch(rows(&items, 1))).await.unwrap_err();

    let nobody = WriterName::parse("nobody")?;
    let error = set(&nobody, Some(own)).await.unwrap_err();
    assert!(matches!(error, Error::WriterUnknown(_)), "{error:?}");
    let never = RateLimit { rows: 1, period: Duration::ZERO };
    let error = set(&writer, Some(never)).await.unwrap_err();
    assert!(matches!(error, Error::PeriodZero), "{error:?}");
    Ok(())
}

async fn a_writers_limit_is_the_objects_that_set_it(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let ctldb = limited(place, 5)?;
    let writer = credentials().writer;
    let family = |name: &str| OwnerId::Family { cluster: "home".to_owned(), name: name.to_owned() };
    let set = async |rows: Option<u64>, by: &OwnerId| {
        let limit = rows.map(|rows| RateLimit { rows, period: Duration::from_secs(60) });
        ctldb.set_writer_limit(&writer, limit, by, Fence::Open).await
    };
    let listed = async || anyhow::Ok(ctldb.writer_limits().await?.pop());
    set(Some(1), &OwnerId::Executive).await?;
    // What was said over HTTP gives way, and nobody else does.
    assert!(set(Some(2), &family("shop")).await?);
    for other in [OwnerId::Executive, family("edge")] {
        for rows in [Some(9), None] {
            let error = set(rows, &other).await.unwrap_err();
            assert!(error.is_conflict(), "{error:?}");
            let words = "is set by CtlFamily shop of cluster home: change that object instead";
            assert!(error.to_string().ends_with(words), "{error}");
        }
    }
    let found = listed().await?.unwrap();
    assert_eq!((found.limit.rows, found.set_by), (2, family("shop")));
    assert!(set(None, &family("shop")).await?);
    assert_eq!(listed().await?, None);
    assert!(!set(Some(3), &family("edge")).await?);
    // As the original wrote them: without saying who.
    place.sql("DELETE FROM ctlstore_rate_owners").await?;
    assert_eq!(listed().await?.unwrap().set_by, OwnerId::Executive);

    // It holds from a writer's first batch on.
    let (early, secret) = (WriterName::parse("early")?, Secret::from("secret of the early one"));
    let none = RateLimit { rows: 0, period: Duration::from_secs(60) };
    ctldb.set_writer_limit(&early, Some(none), &family("shop"), Fence::Open).await?;
    ctldb.register_writer(&early, &secret).await?;
    let credentials = Credentials { writer: early, secret };
    let first = Batch { credentials, ..batch(rows(&items, 1)) };
    let error = ctldb.mutate(&first).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error:?}");
    Ok(())
}

async fn a_repetition_is_no_more_rows(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let ctldb = limited(place, 3)?;
    ctldb.set_cookie(&credentials(), b"0").await?;
    let cookies = (Some(b"0".to_vec()), Some(b"1".to_vec()));
    let (check_cookie, cookie) = cookies;
    let write = Batch { check_cookie, cookie, ..batch(rows(&items, 3)) };
    let first = ctldb.mutate(&write).await?;
    let again = ctldb.mutate(&write).await?;
    assert_eq!((again.repeated, again.mark), (true, first.mark));
    assert_eq!(place.number("SELECT amount FROM writer_usage").await?, 3);
    Ok(())
}

async fn a_full_table_takes_deletes_only(place: &Place) -> Result<()> {
    let items = shop(&place.migrated().await?).await?;
    let ctldb = limited(place, 1000)?;
    ctldb.mutate(&batch(rows(&items, 2))).await?;
    ctldb.measure_table_sizes(Fence::Open).await?;
    let small = SizeLimit { max_bytes: 1000, warn_bytes: 500 };
    ctldb.set_table_limit(items.table(), Some(small), &OwnerId::Executive, Fence::Open).await?;
    let error = ctldb.mutate(&batch(rows(&items, 1))).await.unwrap_err();
    let Error::TableFull { table, bytes, limit } = &error else { panic!("{error:?}") };
    assert_eq!((table, *limit), (items.table(), 1000));
    assert!(*bytes > 1000 && error.to_string().contains("max size of 1000"), "{error}");
    ctldb.mutate(&batch(vec![delete(&items, vec![Value::Text("row1".to_owned())])])).await?;

    ctldb.set_table_limit(items.table(), None, &OwnerId::Executive, Fence::Open).await?;
    ctldb.mutate(&batch(rows(&items, 1))).await?;
    consistent(place, &ctldb).await
}

async fn tables_are_measured(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    assert_eq!(ctldb.table_sizes().await?, []);
    place.sql("INSERT INTO writer_usage VALUES ('old', 60, 1), ('new', 99999999999, 1)").await?;
    let sizes = ctldb.measure_table_sizes(Fence::Open).await?;
    assert_eq!(sizes.len(), 1);
    assert_eq!((&sizes[0].table, sizes[0].limit), (items.table(), None));
    assert!(sizes[0].bytes >= 4096, "{sizes:?}");
    assert!(ctldb.table_sizes().await?[0].age < Duration::from_secs(60));
    let kept = place.texts("SELECT writer_name FROM writer_usage").await?;
    assert_eq!(kept, ["new"], "what is older than a day is forgotten");

    let stats = ctldb.ledger_stats().await?;
    assert_eq!((stats.head, stats.entries, stats.tables), (ctldb.meta().await?.last, 1, 1));
    assert!(stats.bytes >= 4096 && stats.last_at.is_some(), "{stats:?}");
    Ok(())
}

async fn limits_are_listed_with_who_set_them(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let limit = SizeLimit { max_bytes: 10, warn_bytes: 5 };
    let set = async |by: &OwnerId| {
        ctldb.set_table_limit(items.table(), Some(limit), by, Fence::Open).await
    };
    assert!(!set(&OwnerId::Executive).await?);
    let object = OwnerId::Object {
        cluster: "home".to_owned(),
        namespace: "web".to_owned(),
        name: "items".to_owned(),
    };
    assert!(set(&object).await?);
    let listed = ctldb.table_limits().await?;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].table, listed[0].limit), (items.table(), limit));
    assert_eq!(listed[0].set_by, object);
    // As the original wrote them: without saying who.
    place.sql("DELETE FROM ctlstore_limit_owners").await?;
    assert_eq!(ctldb.table_limits().await?[0].set_by, OwnerId::Executive);
    let none = table("shop___none");
    let error = ctldb.set_table_limit(&none, Some(limit), &object, Fence::Open).await.unwrap_err();
    assert!(matches!(error, Error::TableNotFound(_)), "{error:?}");
    Ok(())
}
