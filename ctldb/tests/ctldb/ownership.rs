//! A table of an object is changed there: over HTTP neither its columns nor its limit, and its rows only if it lets them go.

use anyhow::Result;
use ctldb::{CtlDb, Deletion, Error, Fence, Owner, OwnerId, SchemaChange, SchemaChangeKind};
use ledger::ColumnType;

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{add, author, batch, change, column, drop_table, item, items, shop};

on_both!(
    what_an_object_declares_is_not_changed_over_http,
    rows_of_a_table_that_is_retained_stay,
    an_object_adopts_a_table_that_was_made_over_http,
);

fn object(deletion: Deletion) -> Owner {
    let id = OwnerId::Object {
        cluster: "home".to_owned(),
        namespace: "web".to_owned(),
        name: "items".to_owned(),
    };
    Owner { id, deletion }
}

async fn clear(ctldb: &CtlDb) -> Result<(), Error> {
    let table = items().table().clone();
    ctldb.clear_table(&table, &OwnerId::Executive, &author(), Fence::Open).await.map(|_| ())
}

async fn what_an_object_declares_is_not_changed_over_http(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let owner = object(Deletion::Delete);
    ctldb.claim(items.table(), &owner, Fence::Open).await?;
    let head = ctldb.meta().await?.last_seq();
    let more = [column("note", ColumnType::Text)];
    for error in [
        change(&ctldb, &add(items.table(), &more)).await.unwrap_err(),
        change(&ctldb, &drop_table(items.table())).await.unwrap_err(),
        ctldb
            .set_table_limit(items.table(), None, &OwnerId::Executive, Fence::Open)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::OwnedByObject { .. }), "{error:?}");
        assert!(error.is_conflict());
        let text = error.to_string();
        assert!(text.contains("CtlTable web/items of cluster home"), "{text}");
    }
    assert_eq!(ctldb.meta().await?.last_seq(), head);
    assert_eq!(ctldb.table(items.table()).await?.unwrap().intent, None);

    // The object itself may, and rows are everybody's.
    let kind = SchemaChangeKind::AddColumns(more.to_vec());
    let by_object = SchemaChange { table: items.table().clone(), by: owner.id, kind };
    change(&ctldb, &by_object).await?;
    clear(&ctldb).await?;
    consistent(place, &ctldb).await
}

async fn rows_of_a_table_that_is_retained_stay(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1), item(&items, "b", 2)])).await?;
    ctldb.claim(items.table(), &object(Deletion::Retain), Fence::Open).await?;
    for error in [
        clear(&ctldb).await.unwrap_err(),
        change(&ctldb, &drop_table(items.table())).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Retained { .. }), "{error:?}");
        assert!(error.to_string().contains("web/items"), "{error}");
    }
    assert_eq!(place.mirror(&items).await?.len(), 2);

    ctldb.release(items.table(), &object(Deletion::Retain).id, Fence::Open).await?;
    clear(&ctldb).await?;
    assert_eq!(place.mirror(&items).await?.len(), 0);
    let sql = "SELECT deletes FROM ctlstore_batches ORDER BY first_seq DESC LIMIT 1";
    assert_eq!(place.number(sql).await?, 2, "the rows that were cleared are counted");
    consistent(place, &ctldb).await
}

async fn an_object_adopts_a_table_that_was_made_over_http(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let record = ctldb.table(items.table()).await?.unwrap();
    assert_eq!(record.object(), None);
    let owner = object(Deletion::Delete);
    ctldb.claim(items.table(), &owner, Fence::Open).await?;
    let record = ctldb.table(items.table()).await?.unwrap();
    assert_eq!(record.object(), Some(&owner));
    assert_eq!(record.owners.len(), 2, "who made it still holds it against being dropped");
    Ok(())
}
