//! The chain, histories, skips, and damage that is found.

use anyhow::Result;
use ctldb::{CtlDb, Error};
use ledger::{Chain, History, Seq};

use crate::on_both;
use crate::place::Place;
use crate::shape::{author, batch, item, shop};

on_both!(
    the_chain_folds_every_digest,
    an_empty_ledger_holds,
    damage_is_found,
    a_new_history_begins_above_everything,
    an_entry_is_skipped,
    entries_come_in_pages,
    another_program_that_appends_is_named,
);

async fn three_batches(place: &Place) -> Result<CtlDb> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    for price in 0..2 {
        ctldb.mutate(&batch(vec![item(&items, "a", price), item(&items, "b", price)])).await?;
    }
    Ok(ctldb)
}

async fn the_chain_folds_every_digest(place: &Place) -> Result<()> {
    let ctldb = three_batches(place).await?;
    let entries = ctldb.entries(Seq::ZERO, 100).await?;
    let chain = entries.iter().fold(Chain::GENESIS, |chain, entry| chain.link(entry.digest()));
    let last = ctldb.meta().await?.last.unwrap();
    assert_eq!(last.chain, chain);
    assert_eq!(last.seq, entries.last().unwrap().seq);
    assert_eq!(last.digest, entries.last().unwrap().digest());
    assert!(matches!(last.history, History::Id(_)));
    Ok(())
}

async fn an_empty_ledger_holds(place: &Place) -> Result<()> {
    let ctldb = place.migrated().await?;
    let verified = ctldb.verify().await?;
    assert_eq!((verified.first, verified.last, verified.entries), (Seq::ZERO, Seq::ZERO, 0));
    assert_eq!(ctldb.meta().await?.last, None);
    assert_eq!(ctldb.entries(Seq::ZERO, 10).await?, []);
    Ok(())
}

async fn damage_is_found(place: &Place) -> Result<()> {
    let ctldb = three_batches(place).await?;
    let broken = async |sql: &str| {
        place.sql(sql).await?;
        match ctldb.verify().await {
            Err(Error::ChainBroken { at, .. }) => anyhow::Ok(at.get()),
            other => anyhow::bail!("{sql}: {other:?}"),
        }
    };
    let entry = |seq: u64, text: &str| {
        format!("UPDATE ctlstore_dml_ledger SET statement = '{text}' WHERE seq = {seq}")
    };
    assert_eq!(ctldb.verify().await?.entries, 9);
    assert_eq!(broken(&entry(5, "DELETE FROM shop___items")).await?, 5);
    place.sql(&entry(5, "--- COMMIT")).await?;
    assert_eq!(ctldb.verify().await?.entries, 9);
    let time =
        "UPDATE ctlstore_dml_ledger SET leader_ts = '2020-01-01 00:00:00.000000' WHERE seq = 9";
    assert_eq!(broken(time).await?, 9);

    // Each on a ledger of its own.
    for (sql, at) in [
        ("DELETE FROM ctlstore_dml_ledger WHERE seq = 4", 4),
        ("DELETE FROM ctlstore_dml_ledger WHERE seq = 9", 9),
        ("DELETE FROM ctlstore_batches WHERE first_seq = 2", 9),
        ("UPDATE ctlstore_meta SET last_seq = 5", 5),
    ] {
        let place = again(place)?;
        let ctldb = three_batches(&place).await?;
        place.sql(sql).await?;
        match ctldb.verify().await {
            Err(Error::ChainBroken { at: found, .. }) => assert_eq!(found.get(), at, "{sql}"),
            other => anyhow::bail!("{sql}: {other:?}"),
        }
    }
    Ok(())
}

/// A place of the same kind.
fn again(place: &Place) -> Result<Place> {
    match place {
        Place::Sqlite(_) => Place::sqlite(),
        Place::Server(_) => Place::server(),
    }
}

async fn a_new_history_begins_above_everything(place: &Place) -> Result<()> {
    let ctldb = three_batches(place).await?;
    let before = ctldb.meta().await?;
    let above = Seq::new(1000).unwrap();
    let history = ctldb.new_history(above, &author()).await?;
    let after = ctldb.meta().await?;
    assert_ne!(history, before.history);
    assert_eq!(after.history, history);
    assert_eq!(after.last_seq(), above);
    let parent = after.parent.unwrap();
    assert_eq!((parent.history, parent.seq), (before.history, before.last_seq()));
    assert_eq!(parent.chain, before.chain());
    // Asked again before anything was written, it continues the same ledger.
    let history = ctldb.new_history(above, &author()).await?;
    assert_eq!(ctldb.meta().await?.parent, Some(parent));
    let items = std::sync::Arc::new(crate::shape::items());
    let done = ctldb.mutate(&batch(vec![item(&items, "c", 1)])).await?;
    assert_eq!(done.first_seq.get(), 1001);
    assert_eq!(done.mark.history, history);
    // The chain goes on over the step.
    assert_eq!(ctldb.verify().await?.entries, 10);

    // Below the head: still no sequence falls.
    ctldb.new_history(Seq::FIRST, &author()).await?;
    let parent = ctldb.meta().await?.parent.unwrap();
    assert_eq!((parent.history, parent.seq.get()), (history, 1001));
    let done = ctldb.mutate(&batch(vec![item(&items, "d", 1)])).await?;
    assert_eq!(done.first_seq.get(), 1002);
    assert_eq!(ctldb.verify().await?.entries, 11);
    Ok(())
}

async fn an_entry_is_skipped(place: &Place) -> Result<()> {
    let ctldb = three_batches(place).await?;
    for reason in ["poison", "it's poison"] {
        ctldb.skip(Seq::new(3).unwrap(), reason, &author()).await?;
        assert_eq!(place.texts("SELECT seq FROM ctlstore_skips").await?, ["3"]);
        assert_eq!(place.texts("SELECT reason FROM ctlstore_skips").await?, [reason]);
        assert_eq!(place.texts("SELECT principal FROM ctlstore_skips").await?, ["tester"]);
    }
    for seq in [0, 10] {
        let error = ctldb.skip(Seq::new(seq).unwrap(), "why", &author()).await.unwrap_err();
        assert!(matches!(error, Error::SeqNotFound(_)), "{error}");
        assert!(error.is_not_found());
    }
    Ok(())
}

async fn entries_come_in_pages(place: &Place) -> Result<()> {
    let ctldb = three_batches(place).await?;
    let mut after = Seq::ZERO;
    let mut found = Vec::new();
    loop {
        let page = ctldb.entries(after, 2).await?;
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = last.seq;
        found.extend(page);
    }
    assert_eq!(found, ctldb.entries(Seq::ZERO, 100).await?);
    assert_eq!(found.len(), 9);
    Ok(())
}

/// An executive of the original, or a dump that was restored over ours.
async fn another_program_that_appends_is_named(place: &Place) -> Result<()> {
    let ctldb = three_batches(place).await?;
    let last = ctldb.meta().await?.last.unwrap();
    let next = last.seq.get() + 1;
    let theirs = "VALUES ({}, NULL, 'REPLACE INTO shop___items (\"id\") VALUES(1)')";
    place
        .sql(&format!(
            "INSERT INTO ctlstore_dml_ledger (seq, leader_ts, statement) {}",
            theirs.replace("{}", &next.to_string())
        ))
        .await?;
    let items = std::sync::Arc::new(crate::shape::items());
    let error = ctldb.mutate(&batch(vec![item(&items, "c", 1)])).await.unwrap_err();
    assert!(matches!(error, Error::LedgerTaken { .. }), "{error:?}");
    assert!(error.to_string().contains("ctlstore ctldb new-history"), "{error}");
    assert_eq!(ctldb.meta().await?.last, Some(last));
    assert_eq!(place.mirror(&items).await?.len(), 2);
    // Above all that is there, we can write again.
    ctldb.new_history(Seq::new(next).unwrap(), &author()).await?;
    assert_eq!(ctldb.mutate(&batch(vec![item(&items, "c", 1)])).await?.first_seq.get(), next + 1);
    Ok(())
}
