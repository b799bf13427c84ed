//! Cookies of batches: kept, set, checked, and how a retry is recognised.

use anyhow::Result;
use ctldb::{Batch, Committed, CtlDb, Error, MAX_COOKIE_BYTES};
use ledger::ColumnType;

use crate::on_both;
use crate::place::Place;
use crate::shape::{
    add, batch, change, column, create, credentials, drop_table, item, ledger_texts, schema, shop,
};

on_both!(
    a_cookie_is_kept_set_and_checked,
    a_retry_is_recognised_and_nothing_else_is,
    one_constant_cookie_loses_no_batch,
    a_pruned_retry_is_still_recognised,
    a_retry_is_recognised_though_its_table_changed,
);

fn cookies(check: Option<&str>, cookie: Option<&str>, mut batch: Batch) -> Batch {
    let bytes = |text: &str| text.as_bytes().to_vec();
    batch.check_cookie = check.map(bytes);
    batch.cookie = cookie.map(bytes);
    batch
}

async fn stored(ctldb: &CtlDb) -> Result<String> {
    Ok(String::from_utf8(ctldb.cookie(&credentials()).await?)?)
}

async fn a_cookie_is_kept_set_and_checked(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let write = |check, cookie, id| cookies(check, cookie, batch(vec![item(&items, id, 1)]));
    let first = stored(&ctldb).await?;

    ctldb.mutate(&write(None, None, "a")).await?;
    assert_eq!(stored(&ctldb).await?, first, "a batch without a cookie keeps the stored one");
    ctldb.mutate(&write(Some(&first), Some("c1"), "b")).await?;
    assert_eq!(stored(&ctldb).await?, "c1");
    ctldb.mutate(&write(Some("c1"), None, "c")).await?;
    assert_eq!(stored(&ctldb).await?, "c1");
    ctldb.mutate(&write(None, Some(""), "d")).await?;
    assert_eq!(stored(&ctldb).await?, "");
    ctldb.mutate(&write(Some(""), Some("c2"), "e")).await?;

    // Present and empty is a check too.
    for check in ["", "c1", "c2 "] {
        let error = ctldb.mutate(&write(Some(check), Some("c3"), "f")).await.unwrap_err();
        assert!(matches!(error, Error::CookieConflict), "{error}");
        assert!(error.is_conflict());
    }
    assert_eq!(stored(&ctldb).await?, "c2");
    assert_eq!(place.mirror(&items).await?.len(), 5);
    let longest = "x".repeat(MAX_COOKIE_BYTES);
    ctldb.mutate(&write(Some("c2"), Some(&longest), "g")).await?;
    assert_eq!(stored(&ctldb).await?, longest);
    Ok(())
}

async fn a_retry_is_recognised_and_nothing_else_is(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.set_cookie(&credentials(), b"c0").await?;
    let write = |check, cookie, id| {
        let rows = vec![item(&items, id, 1), item(&items, "z", 1)];
        cookies(check, cookie, batch(rows))
    };
    let written = ctldb.mutate(&write(Some("c0"), Some("c1"), "a")).await?;
    let entries = ledger_texts(&ctldb).await?.len();
    let again = ctldb.mutate(&write(Some("c0"), Some("c1"), "a")).await?;
    assert_eq!(again, Committed { repeated: true, ..written });

    let conflict = async |batch: Batch| {
        let error = ctldb.mutate(&batch).await.unwrap_err();
        assert!(matches!(error, Error::CookieConflict), "{error}");
        anyhow::Ok(())
    };
    // Other rows, another new cookie, no new cookie.
    conflict(write(Some("c0"), Some("c1"), "b")).await?;
    conflict(write(Some("c0"), Some("c2"), "a")).await?;
    conflict(write(Some("c0"), None, "a")).await?;
    assert_eq!(ledger_texts(&ctldb).await?.len(), entries);

    // A cookie that came with no batch is no proof of one.
    ctldb.set_cookie(&credentials(), b"c9").await?;
    conflict(write(Some("c1"), Some("c9"), "a")).await?;

    // The same rows again, on purpose, are another batch.
    ctldb.mutate(&write(Some("c9"), Some("c10"), "a")).await?;
    let same = ctldb.mutate(&write(Some("c10"), Some("c11"), "a")).await?;
    assert!(!same.repeated);
    assert_eq!(ledger_texts(&ctldb).await?.len(), entries + 8);
    Ok(())
}

async fn one_constant_cookie_loses_no_batch(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.set_cookie(&credentials(), b"same").await?;
    for _ in 0..3 {
        let write = batch(vec![item(&items, "a", 1)]);
        let done = ctldb.mutate(&cookies(Some("same"), Some("same"), write)).await?;
        assert!(!done.repeated);
        let write = batch(vec![item(&items, "a", 1)]);
        let done = ctldb.mutate(&cookies(None, Some("same"), write)).await?;
        assert!(!done.repeated);
    }
    assert_eq!(ledger_texts(&ctldb).await?.len(), 7);
    Ok(())
}

async fn a_pruned_retry_is_still_recognised(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.set_cookie(&credentials(), b"c0").await?;
    let write = cookies(Some("c0"), Some("c1"), batch(vec![item(&items, "a", 1)]));
    ctldb.mutate(&write).await?;
    change(&ctldb, &create(&schema("shop___extra", &[("id", ColumnType::String)], &["id"])))
        .await?;
    place.sql("UPDATE ctlstore_meta SET pruned_through = 2").await?;
    place.sql("DELETE FROM ctlstore_dml_ledger WHERE seq <= 2").await?;
    let again = ctldb.mutate(&write).await?;
    assert!(again.repeated);
    assert_eq!(again.mark, ctldb.meta().await?.last.unwrap().mark());
    let verified = ctldb.verify().await?;
    assert_eq!((verified.first.get(), verified.last.get(), verified.entries), (3, 3, 1));
    Ok(())
}

async fn a_retry_is_recognised_though_its_table_changed(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.set_cookie(&credentials(), b"c0").await?;
    let write = cookies(Some("c0"), Some("c1"), batch(vec![item(&items, "a", 1)]));
    let written = ctldb.mutate(&write).await?;
    change(&ctldb, &add(items.table(), &[column("more", ColumnType::Text)])).await?;
    assert_eq!(ctldb.mutate(&write).await?, Committed { repeated: true, ..written });
    change(&ctldb, &drop_table(items.table())).await?;
    assert_eq!(ctldb.mutate(&write).await?, Committed { repeated: true, ..written });
    Ok(())
}
