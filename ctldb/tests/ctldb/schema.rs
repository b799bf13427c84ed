//! Families, tables, owners, limits.

use anyhow::Result;
use ctldb::{
    Created, Deletion, Error, FamilyDeleted, Fence, Live, Owner, OwnerId, SizeLimit, TableRecord,
};
use ledger::{ColumnType, Refusal, Seq, Value};

use crate::on_both;
use crate::place::Place;
use crate::shape::{
    add, author, batch, change, column, create, drop_table, family, item, items, ledger_texts,
    owner, schema, shop, table, upsert,
};

on_both!(
    families_come_and_go,
    a_family_with_tables_stays,
    a_table_is_made_in_the_database_in_the_registry_and_in_the_ledger,
    a_table_needs_its_family_and_a_free_name,
    a_table_that_is_not_ours_is_left_alone,
    a_table_too_wide_for_mysql_is_refused_everywhere,
    columns_are_added_one_entry_each,
    columns_that_are_there_are_refused,
    a_dropped_table_is_gone_and_can_be_made_again,
    owners_are_claimed_and_released,
    a_table_has_a_size_limit_or_none,
    a_table_is_cleared,
    every_type_looks_live_as_it_was_made,
    nothing_works_before_the_migration,
);

async fn families_come_and_go(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    assert_eq!(ctldb.create_family(&family("zoo"), Fence::Open).await?, Created::New);
    assert_eq!(ctldb.create_family(&family("bar"), Fence::Open).await?, Created::New);
    assert_eq!(ctldb.create_family(&family("zoo"), Fence::Open).await?, Created::AlreadyThere);
    assert_eq!(ctldb.families().await?, [family("bar"), family("zoo")]);
    assert_eq!(ctldb.delete_family(&family("zoo"), Fence::Open).await?, FamilyDeleted::Deleted);
    assert_eq!(ctldb.delete_family(&family("zoo"), Fence::Open).await?, FamilyDeleted::NotThere);
    assert_eq!(ctldb.families().await?, [family("bar")]);
    Ok(())
}

async fn a_family_with_tables_stays(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let left = ctldb.delete_family(&family("shop"), Fence::Open).await?;
    assert_eq!(left, FamilyDeleted::TablesRemain(vec![table("shop___items")]));
    assert_eq!(ctldb.families().await?, [family("shop")]);
    Ok(())
}

async fn a_table_is_made_in_the_database_in_the_registry_and_in_the_ledger(
    place: &Place,
) -> Result<()> {
    let ctldb = place.migrated().await?;
    ctldb.create_family(&family("shop"), Fence::Open).await?;
    let applied = change(&ctldb, &create(&items())).await?;
    assert_eq!(applied.schema_seq, Seq::FIRST);
    let meta = ctldb.meta().await?;
    assert_eq!(meta.last.map(|last| last.mark()), Some(applied.mark));
    assert_eq!(
        ledger_texts(&ctldb).await?,
        [r#"CREATE TABLE shop___items ("id" VARCHAR(191), "price" INTEGER, PRIMARY KEY("id"));"#]
    );
    let record = TableRecord {
        schema: items(),
        owners: vec![owner()],
        schema_seq: Seq::FIRST,
        intent: None,
    };
    assert_eq!(ctldb.table(items().table()).await?, Some(record.clone()));
    assert_eq!(ctldb.tables(None).await?, std::slice::from_ref(&record));
    assert_eq!(ctldb.tables(Some(&family("shop"))).await?, [record]);
    assert_eq!(ctldb.tables(Some(&family("other"))).await?, []);
    assert_eq!(ctldb.live(items().table()).await?, Live::Table(items()));
    assert_eq!(ctldb.live(&table("shop___none")).await?, Live::Absent);
    Ok(())
}

async fn a_table_needs_its_family_and_a_free_name(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let error = change(&ctldb, &create(&items())).await.unwrap_err();
    assert!(matches!(error, Error::FamilyNotFound(_)), "{error}");
    assert!(error.is_not_found());
    shop(&ctldb).await?;
    let error = change(&ctldb, &create(&items())).await.unwrap_err();
    assert!(matches!(error, Error::TableExists(_)), "{error}");
    assert!(error.is_conflict());
    assert_eq!(ledger_texts(&ctldb).await?.len(), 1);
    Ok(())
}

async fn a_table_that_is_not_ours_is_left_alone(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    ctldb.create_family(&family("shop"), Fence::Open).await?;
    place.sql("CREATE TABLE shop___items (a FLOAT)").await?;
    let error = change(&ctldb, &create(&items())).await.unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    let live = ctldb.live(items().table()).await?;
    assert!(matches!(live, Live::Foreign { .. }), "{live:?}");
    assert_eq!(ctldb.table(items().table()).await?, None);
    assert_eq!(place.number("SELECT COUNT(*) FROM shop___items").await?, 0);
    assert_eq!(ledger_texts(&ctldb).await?.len(), 0);
    Ok(())
}

async fn a_table_too_wide_for_mysql_is_refused_everywhere(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    ctldb.create_family(&family("shop"), Fence::Open).await?;
    let names: Vec<_> = (0..5).map(|index| format!("k{index}")).collect();
    let columns: Vec<_> = names.iter().map(|name| (name.as_str(), ColumnType::String)).collect();
    let key: Vec<_> = names.iter().map(String::as_str).collect();
    let wide = schema("shop___wide", &columns, &key);
    let error = change(&ctldb, &create(&wide)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::TooWide(_))), "{error}");

    shop(&ctldb).await?;
    let many: Vec<_> =
        (0..90).map(|index| column(&format!("c{index}"), ColumnType::String)).collect();
    let error = change(&ctldb, &add(items().table(), &many)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::TooWide(_))), "{error}");
    assert_eq!(ctldb.table(items().table()).await?.unwrap().intent, None);
    assert_eq!(ledger_texts(&ctldb).await?.len(), 1);
    Ok(())
}

async fn columns_are_added_one_entry_each(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let old = shop(&ctldb).await?;
    ctldb.mutate(&batch(vec![item(&old, "a", 1)])).await?;
    let added = [column("note", ColumnType::Text), column("raw", ColumnType::ByteString)];
    let applied = change(&ctldb, &add(old.table(), &added)).await?;
    assert_eq!(
        ledger_texts(&ctldb).await?[2..],
        [
            r#"ALTER TABLE shop___items ADD COLUMN "note" TEXT"#,
            r#"ALTER TABLE shop___items ADD COLUMN "raw" BLOB(255)"#
        ]
    );
    assert_eq!(applied.schema_seq.get(), 4);
    let wide = old.with_columns(added)?;
    let record = ctldb.table(old.table()).await?.unwrap();
    assert_eq!((&record.schema, record.schema_seq.get(), &record.intent), (&wide, 4, &None));
    assert_eq!(ctldb.live(old.table()).await?, Live::Table(wide.clone()));
    // One transaction: both entries are of one batch.
    assert_eq!(place.number("SELECT COUNT(*) FROM ctlstore_batches").await?, 3);
    let row = vec![Value::Text("a".to_owned()), Value::Integer(1), Value::Null, Value::Null];
    assert_eq!(place.mirror(&wide).await?, [row]);

    // Who still writes the old shape is told.
    let error = ctldb.mutate(&batch(vec![item(&old, "b", 2)])).await.unwrap_err();
    assert!(matches!(error, Error::SchemaMoved(_)), "{error}");
    ctldb.verify().await?;
    Ok(())
}

async fn columns_that_are_there_are_refused(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let both = [column("note", ColumnType::Text), column("price", ColumnType::Integer)];
    let error = change(&ctldb, &add(items.table(), &both)).await.unwrap_err();
    assert!(matches!(&error, Error::ColumnExists { column, .. } if column.as_str() == "price"));
    let twice = [column("note", ColumnType::Text), column("note", ColumnType::Text)];
    let error = change(&ctldb, &add(items.table(), &twice)).await.unwrap_err();
    assert!(matches!(error, Error::ColumnExists { .. }), "{error}");
    let error = change(&ctldb, &add(&table("shop___none"), &twice)).await.unwrap_err();
    assert!(matches!(error, Error::TableNotFound(_)), "{error}");
    // No columns: nothing to do, and nothing is done.
    let applied = change(&ctldb, &add(items.table(), &[])).await?;
    assert_eq!(applied.schema_seq, Seq::FIRST);
    assert_eq!(ctldb.live(items.table()).await?, Live::Table((*items).clone()));
    assert_eq!(ledger_texts(&ctldb).await?.len(), 1);
    Ok(())
}

async fn a_dropped_table_is_gone_and_can_be_made_again(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let limit = SizeLimit { max_bytes: 10, warn_bytes: 5 };
    ctldb
        .set_table_limit(items.table(), Some(limit), &ctldb::OwnerId::Executive, Fence::Open)
        .await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;
    change(&ctldb, &drop_table(items.table())).await?;
    assert_eq!(ctldb.table(items.table()).await?, None);
    assert_eq!(ctldb.table_limit(items.table()).await?, None);
    assert_eq!(ctldb.live(items.table()).await?, Live::Absent);
    let error = change(&ctldb, &drop_table(items.table())).await.unwrap_err();
    assert!(matches!(error, Error::TableNotFound(_)), "{error}");
    let error = ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await.unwrap_err();
    assert!(matches!(error, Error::TableNotFound(_)), "{error}");

    change(&ctldb, &create(&items)).await?;
    assert_eq!(place.mirror(&items).await?, Vec::<Vec<Value>>::new());
    let texts = ledger_texts(&ctldb).await?;
    assert_eq!(texts[2], "DROP TABLE IF EXISTS shop___items");
    assert_eq!(texts[3], texts[0]);
    Ok(())
}

async fn owners_are_claimed_and_released(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let id = OwnerId::Object {
        cluster: "east".to_owned(),
        namespace: "team".to_owned(),
        name: "items".to_owned(),
    };
    for deletion in [Deletion::Retain, Deletion::Delete] {
        let object = Owner { id: id.clone(), deletion };
        ctldb.claim(items.table(), &object, Fence::Open).await?;
        assert_eq!(ctldb.table(items.table()).await?.unwrap().owners, [owner(), object]);
    }
    ctldb.release(items.table(), &OwnerId::Executive, Fence::Open).await?;
    ctldb.release(items.table(), &OwnerId::Executive, Fence::Open).await?;
    let owners = ctldb.table(items.table()).await?.unwrap().owners;
    assert_eq!(owners, [Owner { id, deletion: Deletion::Delete }]);
    let error = ctldb.claim(&table("shop___none"), &owner(), Fence::Open).await.unwrap_err();
    assert!(error.is_not_found());
    Ok(())
}

async fn a_table_has_a_size_limit_or_none(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    assert_eq!(ctldb.table_limit(items.table()).await?, None);
    for max_bytes in [100, u64::MAX] {
        let limit = SizeLimit { max_bytes, warn_bytes: 50 };
        ctldb
            .set_table_limit(items.table(), Some(limit), &ctldb::OwnerId::Executive, Fence::Open)
            .await?;
        let kept = SizeLimit { max_bytes: max_bytes.min(i64::MAX.unsigned_abs()), warn_bytes: 50 };
        assert_eq!(ctldb.table_limit(items.table()).await?, Some(kept));
    }
    ctldb.set_table_limit(items.table(), None, &ctldb::OwnerId::Executive, Fence::Open).await?;
    assert_eq!(ctldb.table_limit(items.table()).await?, None);
    let none = table("shop___none");
    let error = ctldb
        .set_table_limit(&none, None, &ctldb::OwnerId::Executive, Fence::Open)
        .await
        .unwrap_err();
    assert!(error.is_not_found());
    Ok(())
}

async fn a_table_is_cleared(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1), item(&items, "b", 2)])).await?;
    let applied = ctldb
        .clear_table(items.table(), &ctldb::OwnerId::Executive, &author(), Fence::Open)
        .await?;
    assert_eq!(applied.schema_seq, Seq::FIRST);
    assert_eq!(place.mirror(&items).await?, Vec::<Vec<Value>>::new());
    assert_eq!(ledger_texts(&ctldb).await?.last().unwrap(), "DELETE FROM shop___items");
    let none = table("shop___none");
    let error = ctldb
        .clear_table(&none, &ctldb::OwnerId::Executive, &author(), Fence::Open)
        .await
        .unwrap_err();
    assert!(error.is_not_found());
    Ok(())
}

async fn every_type_looks_live_as_it_was_made(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    ctldb.create_family(&family("shop"), Fence::Open).await?;
    let columns: Vec<_> = ColumnType::ALL.map(|kind| (kind.api_name(), kind)).to_vec();
    // The key's order is not the columns'.
    let all = schema("shop___all", &columns, &["bytestring", "integer", "string"]);
    change(&ctldb, &create(&all)).await?;
    assert_eq!(ctldb.live(all.table()).await?, Live::Table(all.clone()));
    // Names that are words of SQL.
    let words = schema(
        "shop___words",
        &[("order", ColumnType::Integer), ("group", ColumnType::String)],
        &["group", "order"],
    );
    change(&ctldb, &create(&words)).await?;
    let words = std::sync::Arc::new(words);
    let ctldb::Credentials { writer, secret } = crate::shape::credentials();
    ctldb.register_writer(&writer, &secret).await?;
    let row = vec![Value::Integer(1), Value::Text("g".to_owned())];
    ctldb.mutate(&batch(vec![upsert(&words, row.clone())])).await?;
    assert_eq!(place.mirror(&words).await?, [row]);
    Ok(())
}

async fn nothing_works_before_the_migration(place: &Place) -> Result<()> {
    let ctldb = place.open()?;
    ctldb.ping().await?;
    for error in [
        ctldb.meta().await.unwrap_err(),
        ctldb.families().await.unwrap_err(),
        ctldb.create_family(&family("shop"), Fence::Open).await.unwrap_err(),
        ctldb.finish_intents(Fence::Open).await.unwrap_err(),
        ctldb.verify().await.unwrap_err(),
        change(&ctldb, &create(&items())).await.unwrap_err(),
        ctldb.cookie(&crate::shape::credentials()).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotMigrated), "{error:?}");
    }
    Ok(())
}
