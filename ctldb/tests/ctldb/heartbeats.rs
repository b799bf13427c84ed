//! The heartbeat of a ctldb.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use ctldb::{Author, Error, Fence};
use ledger::{ColumnType, Value};

use crate::on_both;
use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{change, create, family, ledger_texts, schema};

on_both!(
    a_heartbeat_makes_what_it_needs,
    a_deposed_leader_beats_no_more,
    a_table_with_other_columns_is_left_alone,
);

async fn a_heartbeat_makes_what_it_needs(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let author = Author::system("operator/home");
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let first = ctldb.heartbeat(&author, Fence::Open).await?;
    let second = ctldb.heartbeat(&author, Fence::Open).await?;
    assert_eq!((first.mark.seq.get(), second.mark.seq.get()), (2, 3));
    let texts = ledger_texts(&ctldb).await?;
    let table = r#"CREATE TABLE ctlstore___heartbeats ("name" VARCHAR(191), "value" INTEGER, PRIMARY KEY("name"));"#;
    assert_eq!(texts[0], table);
    let start = r#"REPLACE INTO ctlstore___heartbeats ("name","value") VALUES('heartbeat',"#;
    assert!(texts[2].starts_with(start), "{}", texts[2]);

    let table = ledger::LdbTable::parse("ctlstore___heartbeats")?;
    let record = ctldb.table(&table).await?.unwrap();
    let rows = place.mirror(&record.schema).await?;
    let [Value::Text(name), Value::Integer(nanos)] = rows[0].as_slice() else { panic!("{rows:?}") };
    let at = Duration::from_nanos(u64::try_from(*nanos)?);
    assert_eq!(name, "heartbeat");
    assert!(at >= before && at < before + Duration::from_secs(60), "{at:?}");
    let batches = ctldb.ledger(ledger::Seq::new(2).unwrap(), 1).await?;
    let by = &batches[0].batch.as_ref().unwrap().author;
    assert_eq!((by.principal.as_str(), &by.writer), ("operator/home", &None));
    consistent(place, &ctldb).await
}

async fn a_deposed_leader_beats_no_more(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let author = Author::system("operator/home");
    let old = Fence::Epoch(ctldb.win_epoch().await?);
    ctldb.heartbeat(&author, old).await?;
    let new = Fence::Epoch(ctldb.win_epoch().await?);
    let error = ctldb.heartbeat(&author, old).await.unwrap_err();
    assert!(error.is_deposed(), "{error:?}");
    assert_eq!(ctldb.heartbeat(&author, new).await?.mark.seq.get(), 3);
    Ok(())
}

async fn a_table_with_other_columns_is_left_alone(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    ctldb.create_family(&family("ctlstore"), Fence::Open).await?;
    let columns = [("name", ColumnType::String), ("at", ColumnType::Decimal)];
    change(&ctldb, &create(&schema("ctlstore___heartbeats", &columns, &["name"]))).await?;
    let error = ctldb.heartbeat(&Author::system("x"), Fence::Open).await.unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("other columns"), "{error}");
    Ok(())
}
