//! A crash between any two writes, and what a restart makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use ctldb::{Batch, CrashPoints, CtlDb, Error, Fence};
use ledger::ColumnType;

use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{
    add, author, batch, change, column, create, credentials, drop_table, item, items, ledger_texts,
    schema, shop,
};

/// What may be cut off.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Create,
    AddColumns,
    Drop,
    Mutate,
    Clear,
}

impl Operation {
    async fn run(self, ctldb: &CtlDb) -> Result<(), Error> {
        match self {
            Operation::Create => {
                let other = schema("shop___other", &[("id", ColumnType::Integer)], &["id"]);
                change(ctldb, &create(&other)).await.map(|_| ())
            }
            Operation::AddColumns => {
                let more = [column("c", ColumnType::Text), column("d", ColumnType::Decimal)];
                change(ctldb, &add(items().table(), &more)).await.map(|_| ())
            }
            Operation::Drop => change(ctldb, &drop_table(items().table())).await.map(|_| ()),
            Operation::Mutate => ctldb.mutate(&checked_batch()).await.map(|_| ()),
            Operation::Clear => ctldb
                .clear_table(items().table(), &ctldb::OwnerId::Executive, &author(), Fence::Open)
                .await
                .map(|_| ()),
        }
    }

    /// What it leaves in the ledger.
    fn texts(self) -> Vec<&'static str> {
        match self {
            Operation::Create => {
                vec![r#"CREATE TABLE shop___other ("id" INTEGER, PRIMARY KEY("id"));"#]
            }
            Operation::AddColumns => vec![
                r#"ALTER TABLE shop___items ADD COLUMN "c" TEXT"#,
                r#"ALTER TABLE shop___items ADD COLUMN "d" REAL"#,
            ],
            Operation::Drop => vec!["DROP TABLE IF EXISTS shop___items"],
            Operation::Mutate => vec![
                "--- BEGIN",
                r#"REPLACE INTO shop___items ("id","price") VALUES('x',1)"#,
                r#"REPLACE INTO shop___items ("id","price") VALUES('y',2)"#,
                "--- COMMIT",
            ],
            Operation::Clear => vec!["DELETE FROM shop___items"],
        }
    }
}

fn checked_batch() -> Batch {
    let items = Arc::new(items());
    Batch {
        check_cookie: Some(b"c0".to_vec()),
        cookie: Some(b"c1".to_vec()),
        ..batch(vec![item(&items, "x", 1), item(&items, "y", 2)])
    }
}

/// Counts crash points, and crashes at the one with the given number.
fn armed(at: usize) -> (CrashPoints, Arc<AtomicUsize>) {
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    (CrashPoints::new(move |_| count.fetch_add(1, Ordering::SeqCst) == at), passed)
}

async fn prepared(place: &Place) -> Result<CtlDb> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    ctldb.mutate(&batch(vec![item(&items, "a", 1)])).await?;
    ctldb.set_cookie(&credentials(), b"c0").await?;
    Ok(ctldb)
}

async fn crash_everywhere(operation: Operation, fresh: fn() -> Result<Place>) -> Result<()> {
    let mut at = 0;
    loop {
        let place = fresh()?;
        let ctldb = prepared(&place).await?;
        let before = ledger_texts(&ctldb).await?;
        let (crash, passed) = armed(at);
        let victim = place.open_with_crashes(crash)?;
        let result = operation.run(&victim).await;
        if passed.load(Ordering::SeqCst) <= at {
            result.context("it ran to its end")?;
            break;
        }
        let error = result.err().context("the crash was swallowed")?;
        let Error::Crashed(point) = error else { return Err(error.into()) };
        drop(victim);

        // The restart: whoever comes finishes what was written down, and the user asks again for what was not.
        ctldb.finish_intents(Fence::Open).await?;
        if ledger_texts(&ctldb).await?.len() == before.len()
            || matches!(operation, Operation::Mutate)
        {
            operation.run(&ctldb).await.with_context(|| format!("again after {point:?}"))?;
        }
        let mut wanted = before;
        wanted.extend(operation.texts().into_iter().map(str::to_owned));
        assert_eq!(ledger_texts(&ctldb).await?, wanted, "after a crash at {at}, {point:?}");
        consistent(&place, &ctldb).await.with_context(|| format!("after {point:?}"))?;
        at += 1;
    }
    // A batch sends its last statements with the commit, so it has fewer points.
    let least = if matches!(operation, Operation::Mutate) { 4 } else { 6 };
    ensure!(at >= least, "only {at} crash points: the test does not see the writes");
    Ok(())
}

macro_rules! crashes {
    ($($name:ident: $operation:ident),+ $(,)?) => {
        mod on_sqlite {
            use super::*;
            $(#[tokio::test]
            async fn $name() -> Result<()> {
                crash_everywhere(Operation::$operation, Place::sqlite).await
            })+
        }
        mod on_server {
            use super::*;
            $(#[tokio::test]
            async fn $name() -> Result<()> {
                crash_everywhere(Operation::$operation, Place::server).await
            })+
        }
    };
}

crashes!(
    a_table_is_made_exactly_once: Create,
    columns_are_added_exactly_once: AddColumns,
    a_table_is_dropped_exactly_once: Drop,
    a_batch_is_written_exactly_once: Mutate,
    a_table_is_cleared_exactly_once: Clear,
);

/// A migration that is cut off anywhere is finished by the next.
async fn migration_everywhere(fresh: fn() -> Result<Place>) -> Result<()> {
    let mut at = 0;
    loop {
        let place = fresh()?;
        let (crash, passed) = armed(at);
        let result = place.open_with_crashes(crash)?.migrate().await;
        if passed.load(Ordering::SeqCst) <= at {
            result?;
            break;
        }
        assert!(matches!(result, Err(Error::Crashed(_))), "{result:?}");
        let ctldb = place.open()?;
        ctldb.migrate().await?;
        shop(&ctldb).await?;
        assert_eq!(place.texts("SELECT id FROM locks").await?, ["ledger"]);
        assert_eq!(place.texts("SELECT id FROM ctlstore_meta").await?, ["1"]);
        consistent(&place, &ctldb).await?;
        at += 1;
    }
    ensure!(at >= 12, "only {at} crash points");
    Ok(())
}

#[tokio::test]
async fn a_migration_is_finished_on_sqlite() -> Result<()> {
    migration_everywhere(Place::sqlite).await
}

#[tokio::test]
async fn a_migration_is_finished_on_the_server() -> Result<()> {
    migration_everywhere(Place::server).await
}
