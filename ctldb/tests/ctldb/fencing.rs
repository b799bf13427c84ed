//! A deposed operator changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use ctldb::{
    ClusterName, CrashPoints, CtlDb, Deletion, Epoch, Error, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind,
};
use ledger::ColumnType;

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{add, author, change, column, create, family, items, ledger_texts, owner, shop};

on_both!(
    epochs_rise,
    every_fenced_operation_refuses_the_deposed,
    deposed_before_the_ddl,
    deposed_between_the_ddl_and_the_commit,
    clusters_depose_only_their_own_operators,
    a_table_that_was_claimed_meanwhile_is_not_dropped,
);

async fn epochs_rise(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    assert_eq!(ctldb.meta().await?.epoch, Epoch::new(0));
    assert_eq!(ctldb.win_epoch().await?, Epoch::new(1));
    assert_eq!(ctldb.win_epoch().await?, Epoch::new(2));
    assert_eq!(ctldb.meta().await?.epoch, Epoch::new(2));
    Ok(())
}

async fn a_table_that_was_claimed_meanwhile_is_not_dropped(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let (items, fence) = (items(), Fence::Open);
    let table = items.table();
    let seen = ctldb.table(table).await?.unwrap().owners;
    let rival =
        OwnerId::Object { cluster: "there".into(), namespace: "n".into(), name: "t".into() };
    let claim = Owner { id: rival.clone(), deletion: Deletion::Retain };
    ctldb.claim(table, &claim, fence).await?;
    let by = seen[0].id.clone();
    let kind = SchemaChangeKind::DropOwnedBy(seen);
    let drop = SchemaChange { table: table.clone(), by, kind };
    let error = ctldb.change_schema(&drop, &author(), fence).await.unwrap_err();
    assert!(matches!(&error, Error::SchemaMoved(moved) if moved == table), "{error}");
    assert!(ctldb.table(table).await?.unwrap().intent.is_none());
    ctldb.release(table, &rival, fence).await?;
    ctldb.change_schema(&drop, &author(), fence).await?;
    assert!(ctldb.table(table).await?.is_none());
    Ok(())
}

async fn every_fenced_operation_refuses_the_deposed(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    let old = Fence::Epoch(ctldb.win_epoch().await?);
    ctldb.create_family(&family("during"), old).await?;
    let new = Fence::Epoch(ctldb.win_epoch().await?);
    let before = ledger_texts(&ctldb).await?;
    let items = items();
    let table = items.table();
    let more = add(table, &[column("c", ColumnType::Text)]);
    for error in [
        ctldb.create_family(&family("after"), old).await.unwrap_err(),
        ctldb.delete_family(&family("during"), old).await.unwrap_err(),
        ctldb.change_schema(&more, &author(), old).await.unwrap_err(),
        ctldb.finish_intents(old).await.unwrap_err(),
        ctldb.claim(table, &owner(), old).await.unwrap_err(),
        ctldb.release(table, &OwnerId::Executive, old).await.unwrap_err(),
        ctldb.set_table_limit(table, None, &ctldb::OwnerId::Executive, old).await.unwrap_err(),
        ctldb.clear_table(table, &ctldb::OwnerId::Executive, &author(), old).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Deposed { .. }), "{error}");
        assert!(error.is_deposed());
    }
    assert_eq!(ledger_texts(&ctldb).await?, before);
    assert_eq!(ctldb.families().await?, [family("during"), family("shop")]);
    ctldb.change_schema(&more, &author(), new).await?;
    let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Delete };
    ctldb.claim(table, &owner, new).await?;
    Ok(())
}

/// Another operator wins while the first is at a crash point.
async fn deposed_at(place: &Place, point: &'static str) -> Result<()> {
    let ctldb = place.migrated().await?;
    ctldb.create_family(&family("shop"), Fence::Open).await?;
    let mine = Fence::Epoch(ctldb.win_epoch().await?);
    let rival = place.open()?;
    let won = AtomicBool::new(false);
    let crash = CrashPoints::new(move |reached| {
        if reached == point && !won.swap(true, Ordering::SeqCst) {
            win(rival.clone());
        }
        false
    });
    let slow = place.open_with_crashes(crash)?;
    let error = slow.change_schema(&create(&items()), &author(), mine).await.unwrap_err();
    assert!(matches!(error, Error::Deposed { .. }), "{error}");
    assert_eq!(ledger_texts(&ctldb).await?, Vec::<String>::new());

    // The new leader finds the intent and finishes it as it was written.
    let theirs = Fence::Epoch(ctldb.meta().await?.epoch);
    assert_eq!(ctldb.finish_intents(theirs).await?, [items().table().clone()]);
    assert_eq!(ledger_texts(&ctldb).await?.len(), 1);
    consistent(place, &ctldb).await?;
    let error = change(&ctldb, &create(&items())).await.unwrap_err();
    assert!(matches!(error, Error::TableExists(_)), "{error}");
    Ok(())
}

/// From inside a crash point, which cannot wait for a future of its own runtime.
fn win(rival: CtlDb) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(rival.win_epoch()).unwrap()
    });
    assert_eq!(thread.join().unwrap(), Epoch::new(2));
}

async fn deposed_before_the_ddl(place: &Place) -> Result<()> {
    deposed_at(place, "change: before the DDL").await
}

async fn deposed_between_the_ddl_and_the_commit(place: &Place) -> Result<()> {
    deposed_at(place, "change: after the DDL").await
}

async fn clusters_depose_only_their_own_operators(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let cluster = |name| ClusterName::parse(name).map_err(anyhow::Error::from);
    let east = Fence::Reign(ctldb.win_reign(cluster("east")?).await?);
    let west = Fence::Reign(ctldb.win_reign(cluster("west")?).await?);
    ctldb.create_family(&family("east"), east).await?;
    ctldb.create_family(&family("west"), west).await?;
    let east_again = Fence::Reign(ctldb.win_reign(cluster("east")?).await?);
    let error = ctldb.create_family(&family("late"), east).await.unwrap_err();
    assert!(error.is_deposed(), "{error}");
    ctldb.create_family(&family("shop"), east_again).await?;
    ctldb.change_schema(&create(&items()), &author(), west).await?;
    assert_eq!(ctldb.families().await?, [family("east"), family("shop"), family("west")]);
    Ok(())
}
