//! The server is killed, again and again, under the load of many writers: no half batch, no hole, no acknowledged batch
//! lost, none twice. A hundred rounds: `cargo test -p ctldb --test ctldb -- --ignored nor_in_a_hundred_rounds --nocapture`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ctldb::{Author, Batch, Credentials, CtlDb, Secret};
use ledger::{CtlDbUrl, Seq, Statement, TableSchema, WriterName};
use testkit::eventually;
use testkit::mariadb::MariaDb;

use crate::shape::{author, batch, item, items, shop};

const WRITERS: i64 = 8;
/// Rows of a batch: with their frame, more than one entry.
const ROWS: i64 = 3;

/// What a writer did: its batches, and those of them that were acknowledged, by number, with their last sequence.
struct Done {
    writer: i64,
    acknowledged: BTreeMap<i64, Seq>,
}

fn name(writer: i64) -> WriterName {
    WriterName::parse(&format!("killed-{writer}")).unwrap()
}

/// Rows that say which batch they are of. All writers also write one row that they share.
fn rows(items: &Arc<TableSchema>, writer: i64, number: i64) -> Vec<ctldb::TableMutation> {
    let own = (1..ROWS).map(|row| item(items, &format!("w{writer}r{row}"), number));
    own.chain([item(items, "shared", writer * 1_000_000 + number)]).collect()
}

/// A correct client: after any error it sends the same batch under the same cookies again.
async fn write(ctldb: CtlDb, writer: i64, stop: Arc<AtomicBool>) -> Result<Done> {
    let items = Arc::new(items());
    let mut done = Done { writer, acknowledged: BTreeMap::new() };
    let mut number = 1;
    while !stop.load(Ordering::SeqCst) {
        let credentials = Credentials { writer: name(writer), secret: Secret::from("secret") };
        let write = Batch {
            credentials,
            check_cookie: Some((number - 1).to_string().into_bytes()),
            cookie: Some(number.to_string().into_bytes()),
            author: Author { writer: Some(name(writer)), ..author() },
            ..batch(rows(&items, writer, number))
        };
        match ctldb.mutate(&write).await {
            Ok(committed) => {
                done.acknowledged.insert(number, committed.mark.seq);
                number += 1;
            }
            Err(error) if error.is_unavailable() => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error).with_context(|| format!("writer {writer}")),
        }
    }
    Ok(done)
}

/// The batches of the ledger by writer and number, each with its last sequence: whole, without a hole, none twice.
async fn batches(ctldb: &CtlDb) -> Result<BTreeMap<(i64, i64), Seq>> {
    let mut found = BTreeMap::new();
    let mut open: Option<Vec<Statement>> = None;
    let (mut at, mut after) = (Seq::ZERO, Seq::ZERO);
    loop {
        let page = ctldb.ledger(after, 1000).await?;
        let Some(last) = page.last() else { break };
        after = last.entry.seq;
        for record in page {
            let (entry, batch) = (record.entry, record.batch.context("an entry without a batch")?);
            ensure!(entry.seq == at.next().unwrap(), "a hole before {}", entry.seq);
            at = entry.seq;
            match (Statement::parse(&entry.statement)?, &mut open) {
                (Statement::Begin, None) => {
                    ensure!(batch.first_seq == entry.seq, "{} is no first entry", entry.seq);
                    open = Some(Vec::new());
                }
                (Statement::Commit, Some(rows)) => {
                    ensure!(batch.last_seq == entry.seq, "{} is no last entry", entry.seq);
                    let of = whole(rows)?;
                    ensure!(batch.author.writer == Some(name(of.0)), "{of:?} is another's");
                    ensure!(found.insert(of, entry.seq).is_none(), "{of:?} is there twice");
                    open = None;
                }
                (row @ Statement::Upsert { .. }, Some(rows)) => rows.push(row),
                (Statement::CreateTable(_), None) => {}
                (other, _) => anyhow::bail!("{other} stands where it cannot be"),
            }
        }
    }
    ensure!(open.is_none(), "the last batch has no end");
    Ok(found)
}

/// Which batch the rows are, if they are all of it.
fn whole(found: &[Statement]) -> Result<(i64, i64)> {
    let Some(Statement::Upsert { values, .. }) = found.last() else {
        anyhow::bail!("an empty batch")
    };
    let ledger::Literal::Integer(tag) = values[1] else { anyhow::bail!("{values:?}") };
    let of = (tag / 1_000_000, tag % 1_000_000);
    let schema = Arc::new(items());
    let wanted = rows(&schema, of.0, of.1);
    let wanted: Vec<_> = wanted.iter().map(|row| row.mutation.statement(&schema)).collect();
    ensure!(found == wanted, "{of:?} is half there: {found:?}");
    Ok(of)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_batch_is_lost_and_none_is_there_twice() -> Result<()> {
    kill(25).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a hundred restarts take a minute or two"]
async fn nor_in_a_hundred_rounds() -> Result<()> {
    kill(100).await
}

async fn kill(rounds: u64) -> Result<()> {
    let server = MariaDb::start()?;
    let url = CtlDbUrl::parse(&server.create_database()?.url)?;
    // Two processes, so that groups of batches meet each other.
    let handles = [CtlDb::open(url.clone())?, CtlDb::open(url)?];
    handles[0].migrate().await?;
    let items = shop(&handles[0]).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let credentials = Credentials { writer: name(writer), secret: Secret::from("secret") };
        handles[0].register_writer(&credentials.writer, &credentials.secret).await?;
        handles[0].set_cookie(&credentials, b"0").await?;
        let ctldb = handles[usize::try_from(writer % 2)?].clone();
        writers.spawn(write(ctldb, writer, Arc::clone(&stop)));
    }
    for round in 0..rounds {
        // Not at the same moment each time.
        tokio::time::sleep(Duration::from_millis(60 + round * 37 % 90)).await;
        server.kill();
        server.restart()?;
        eventually(Duration::from_secs(20), async || Ok(handles[0].ping().await?)).await?;
    }
    let head = handles[0].meta().await?.last_seq();
    eventually(Duration::from_secs(20), async || {
        ensure!(handles[0].meta().await?.last_seq() > head, "nobody writes");
        Ok(())
    })
    .await?;
    stop.store(true, Ordering::SeqCst);

    let found = batches_after(&handles[0], writers).await?;
    handles[0].verify().await?;
    eprintln!("{rounds} kills, {} batches", found.len());
    let mirror = crate::replay::Replayed::of(&handles[0]).await?.rows(&items)?;
    ensure!(mirror.len() == usize::try_from(WRITERS * (ROWS - 1) + 1)?, "{mirror:?}");
    Ok(())
}

/// All batches, when all writers have ended: those that were acknowledged are where that was said, and of each writer one
/// more at most is there.
async fn batches_after(
    ctldb: &CtlDb,
    writers: tokio::task::JoinSet<Result<Done>>,
) -> Result<BTreeMap<(i64, i64), Seq>> {
    let done = writers.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let found = batches(ctldb).await?;
    for Done { writer, acknowledged } in done {
        let last = i64::try_from(acknowledged.len())?;
        ensure!(last >= 10, "writer {writer} got on with {last} batches only");
        for (number, seq) in &acknowledged {
            ensure!(
                found.get(&(writer, *number)) == Some(seq),
                "{writer}/{number} is not at {seq}"
            );
        }
        let there = found.keys().filter(|(other, _)| *other == writer).count();
        ensure!(i64::try_from(there)? <= last + 1, "writer {writer}: {there} of {last}");
    }
    Ok(found)
}
