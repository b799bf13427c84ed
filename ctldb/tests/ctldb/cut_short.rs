//! Schema changes whose last step fails after the database made the change: they are not forgotten.

use anyhow::{Context, Result};
use ctldb::{CrashPoints, CtlDb, Error, Fence, SchemaChange};
use ledger::ColumnType;

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{
    add, batch, change, column, create, drop_table, item, items, ledger_texts, schema, shop,
};

on_both!(
    a_table_whose_creation_was_not_recorded_is_recorded_later,
    columns_whose_addition_was_not_recorded_are_recorded_later,
    a_drop_that_was_not_recorded_is_recorded_later,
    what_another_left_and_cannot_be_done_is_no_obstacle,
);

const FULL: &str = "the disk is full";

/// Lets no batch into the ledger.
async fn break_the_ledger(place: &Place) -> Result<()> {
    match place {
        Place::Sqlite(_) => {
            let body = format!("BEGIN SELECT RAISE(ABORT, '{FULL}'); END");
            place
                .sql(&format!("CREATE TRIGGER broken BEFORE INSERT ON ctlstore_batches {body}"))
                .await
        }
        Place::Server(_) => {
            let body = format!(
                "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = '{FULL}'"
            );
            place
                .sql(&format!("CREATE TRIGGER broken BEFORE INSERT ON ctlstore_batches {body}"))
                .await
        }
    }
}

async fn cut_short(place: &Place, ctldb: &CtlDb, wanted: &SchemaChange) -> Result<()> {
    let before = ledger_texts(ctldb).await?.len();
    break_the_ledger(place).await?;
    let error = change(ctldb, wanted).await.unwrap_err();
    let Error::Database { source, .. } = &error else { panic!("{error:?}") };
    let cause = std::error::Error::source(source).context("no cause")?.to_string();
    assert!(cause.contains(FULL), "{cause}");
    assert_eq!(ledger_texts(ctldb).await?.len(), before);
    place.sql("DROP TRIGGER broken").await?;
    match place {
        // The change was part of the transaction: nothing is left of it.
        Place::Sqlite(_) => {
            assert_eq!(ctldb.finish_intents(Fence::Open).await?, []);
            consistent(place, ctldb).await?;
            change(ctldb, wanted).await?;
        }
        Place::Server(_) => {
            assert_eq!(
                ctldb.finish_intents(Fence::Open).await?,
                std::slice::from_ref(&wanted.table)
            );
        }
    }
    assert_eq!(ledger_texts(ctldb).await?.len(), before + 1);
    consistent(place, ctldb).await
}

async fn a_table_whose_creation_was_not_recorded_is_recorded_later(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let other = schema("shop___other", &[("id", ColumnType::Integer)], &["id"]);
    cut_short(place, &ctldb, &create(&other)).await
}

async fn columns_whose_addition_was_not_recorded_are_recorded_later(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;
    let more = [column("note", ColumnType::Text)];
    cut_short(place, &ctldb, &add(items.table(), &more)).await
}

async fn a_drop_that_was_not_recorded_is_recorded_later(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;
    cut_short(place, &ctldb, &drop_table(items.table())).await
}

/// Another's change of the same table turns out to be impossible: it is withdrawn, and ours is made.
async fn what_another_left_and_cannot_be_done_is_no_obstacle(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let died =
        place.open_with_crashes(CrashPoints::new(|point| point == "change: before the DDL"))?;
    let note = add(items().table(), &[column("note", ColumnType::Text)]);
    assert!(matches!(change(&died, &note).await, Err(Error::Crashed(_))));
    // Somebody else's column has taken the name.
    let other_type = match place {
        Place::Sqlite(_) => "INTEGER",
        Place::Server(_) => "BIGINT",
    };
    place.sql(&format!("ALTER TABLE shop___items ADD COLUMN note {other_type}")).await?;
    let more = add(items().table(), &[column("more", ColumnType::Integer)]);
    change(&ctldb, &more).await?;
    let record = ctldb.table(items().table()).await?.context("no table")?;
    assert_eq!(record.intent, None);
    assert_eq!(record.schema, items().with_columns([column("more", ColumnType::Integer)])?);
    let texts = ledger_texts(&ctldb).await?;
    assert_eq!(texts[1..], [r#"ALTER TABLE shop___items ADD COLUMN "more" INTEGER"#]);
    Ok(())
}
