//! Who changed what, and the versions of a row.

use std::sync::Arc;

use anyhow::{Context, Result};
use ctldb::{Author, BatchRecord, Fence, LedgerRecord, OwnerId, RowOperation, RowVersion};
use ledger::{ColumnType, Key, Seq, TableSchema, Value};

use crate::on_both;
use crate::place::Place;
use crate::shape::{
    add, author, batch, change, column, create, credentials, delete, drop_table, item, items,
    schema, shop, upsert,
};

on_both!(
    each_entry_says_who_wrote_it,
    the_versions_of_a_row_are_found,
    what_the_original_wrote_is_found_too,
    who_began_a_history_is_recorded,
);

async fn each_entry_says_who_wrote_it(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let by_writer =
        Author { writer: Some(credentials().writer), request_id: "r2".to_owned(), ..author() };
    let mut write =
        batch(vec![item(&items, "a", 1), delete(&items, vec![Value::Text("b".to_owned())])]);
    write.author = by_writer.clone();
    ctldb.mutate(&write).await?;
    change(&ctldb, &add(items.table(), &[column("note", ColumnType::Text)])).await?;
    ctldb.clear_table(items.table(), &OwnerId::Executive, &author(), Fence::Open).await?;

    let records = ctldb.ledger(Seq::ZERO, 100).await?;
    let said = |LedgerRecord { entry, batch }: &LedgerRecord| {
        let BatchRecord { first_seq, last_seq, author, upserts, deletes, .. } =
            batch.as_ref().context("an entry without a batch")?;
        assert!((*first_seq..=*last_seq).contains(&entry.seq));
        let Author { writer, principal, source_address, request_id, reason } = author;
        let writer = writer.as_ref().map_or("-", |writer| writer.as_str());
        let reason = reason.as_deref().unwrap_or("-");
        anyhow::Ok(format!(
            "{} {writer} {principal} {source_address} {request_id} {reason} +{upserts} -{deletes}",
            entry.seq
        ))
    };
    let lines: Vec<_> = records.iter().map(said).collect::<Result<_>>()?;
    let framed = "writer1 tester 127.0.0.1 r2 a test +1 -1";
    assert_eq!(
        lines,
        [
            "1 - tester 127.0.0.1 r1 a test +0 -0".to_owned(),
            format!("2 {framed}"),
            format!("3 {framed}"),
            format!("4 {framed}"),
            format!("5 {framed}"),
            "6 - tester 127.0.0.1 r1 a test +0 -0".to_owned(),
            "7 - tester 127.0.0.1 r1 a test +0 -1".to_owned(),
        ]
    );
    // Also when the page begins inside a batch.
    let page = ctldb.ledger(Seq::new(3).unwrap(), 1).await?;
    assert_eq!(page.len(), 1);
    assert_eq!(page[0], records[3]);
    assert_eq!(ctldb.ledger(Seq::new(7).unwrap(), 10).await?, []);
    Ok(())
}

fn key(schema: &TableSchema, id: &str) -> Key {
    Key::new(schema, vec![Value::Text(id.to_owned())]).unwrap()
}

fn lines(versions: &[RowVersion]) -> Vec<String> {
    let line = |version: &RowVersion| {
        let values = version.values.iter().map(|(name, value)| format!("{name}={value:?}"));
        let values: Vec<_> = values.collect();
        let by = version.batch.as_ref().map_or("-", |batch| batch.author.principal.as_str());
        format!("{} {:?} {} by {by}", version.seq, version.operation, values.join(" "))
    };
    versions.iter().map(line).collect()
}

async fn the_versions_of_a_row_are_found(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    // The underscore of its name is any character to LIKE.
    let columns = [("id", ColumnType::String), ("price", ColumnType::Integer)];
    let alike = Arc::new(schema("shop___items2", &columns, &["id"]));
    change(&ctldb, &create(&alike)).await?;
    ctldb.mutate(&batch(vec![item(&items, "it's", 1)])).await?;
    ctldb
        .mutate(&batch(vec![
            item(&items, "b", 2),
            item(&items, "it's", 3),
            item(&alike, "it's", 4),
        ]))
        .await?;
    ctldb.mutate(&batch(vec![delete(&items, vec![Value::Text("it's".to_owned())])])).await?;
    change(&ctldb, &add(items.table(), &[column("note", ColumnType::Text)])).await?;
    let wide = Arc::new(ctldb.table(items.table()).await?.unwrap().schema);
    let row = |note: &str| {
        let note = Value::Text(note.to_owned());
        upsert(&wide, vec![Value::Text("it's".to_owned()), Value::Null, note])
    };
    ctldb.mutate(&batch(vec![row("nul\0")])).await?;
    ctldb.clear_table(items.table(), &OwnerId::Executive, &author(), Fence::Open).await?;
    change(&ctldb, &drop_table(items.table())).await?;
    change(&ctldb, &create(&crate::shape::items())).await?;
    let again = ctldb.mutate(&batch(vec![item(&items, "it's", 9)])).await?;

    let versions = ctldb.row_history(&wide, &key(&wide, "it's"), 100).await?;
    assert_eq!(
        lines(&versions),
        [
            format!(r#"{} Upsert id=Text("it's") price=Integer(9) by tester"#, again.mark.seq),
            "13 Drop  by tester".to_owned(),
            "12 Clear  by tester".to_owned(),
            r#"11 Upsert id=Text("it's") price=Null note=Text("nul\0") by tester"#.to_owned(),
            "9 Delete  by tester".to_owned(),
            r#"6 Upsert id=Text("it's") price=Integer(3) by tester"#.to_owned(),
            r#"3 Upsert id=Text("it's") price=Integer(1) by tester"#.to_owned(),
        ]
    );
    assert!(versions.iter().all(|version| version.at > ledger::LeaderTs::UNKNOWN));
    let newest = ctldb.row_history(&wide, &key(&wide, "it's"), 2).await?;
    assert_eq!(newest, versions[..2]);
    assert_eq!(versions[3].operation, RowOperation::Upsert);
    assert_eq!(ctldb.row_history(&wide, &key(&wide, "never"), 9).await?.len(), 2);
    Ok(())
}

async fn what_the_original_wrote_is_found_too(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    shop(&ctldb).await?;
    // Texts of the original: a key in hexadecimal, a truth as a number, a number as a text.
    for (seq, text) in [
        (2, r#"REPLACE INTO shop___items ("id","price") VALUES(x'61',true)"#),
        (3, r#"REPLACE INTO shop___items ("id","price") VALUES('a','7')"#),
        (4, r#"DELETE FROM shop___items WHERE "id" = x'61'"#),
    ] {
        let text = text.replace('\'', "''");
        place
            .sql(&format!(
                "INSERT INTO ctlstore_dml_ledger (seq, leader_ts, statement) VALUES ({seq}, '2020-01-02 03:04:05', '{text}')"
            ))
            .await?;
    }
    place.sql("UPDATE ctlstore_meta SET last_seq = 4").await?;
    let versions = ctldb.row_history(&items(), &key(&items(), "a"), 9).await?;
    assert_eq!(
        lines(&versions),
        [
            "4 Delete  by -",
            r#"3 Upsert id=Text("a") price=Integer(7) by -"#,
            r#"2 Upsert id=Text("a") price=Integer(1) by -"#,
        ]
    );
    Ok(())
}

async fn who_began_a_history_is_recorded(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let history = ctldb.new_history(Seq::new(100).unwrap(), &author()).await?;
    let sql = "SELECT principal FROM ctlstore_histories WHERE reason = 'a test' AND last_before = 1 AND next_after = 100";
    assert_eq!(place.text(sql).await?, "tester");
    let sql = "SELECT history FROM ctlstore_histories";
    assert_eq!(place.text(sql).await?, history.to_string());
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;
    let stats = ctldb.ledger_stats().await?;
    assert_eq!((stats.head.unwrap().seq.get(), stats.entries), (101, 2));
    Ok(())
}
