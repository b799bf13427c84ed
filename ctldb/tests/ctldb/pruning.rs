//! Old entries go, and nobody is harmed: not writers, not the chain, not whoever comes after a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use ctldb::{CrashPoints, CtlDb, Error, Fence, Pruned};
use ledger::{LeaderTs, Seq};

use crate::on_both;
use crate::place::Place;
use crate::shape::{author, batch, item, shop};

on_both!(
    whole_batches_go_and_the_rest_verifies,
    the_last_batch_stays_whatever_is_asked,
    age_is_that_of_the_first_young_entry,
    a_crash_anywhere_leaves_what_the_next_pruning_finishes,
    the_deposed_prune_nothing,
    a_new_history_is_pruned_like_any_other,
    a_restored_ledger_keeps_what_it_needs,
    what_was_decided_about_another_ledger_is_not_done,
    writers_and_verifiers_go_on_meanwhile,
    a_ledger_of_the_original_is_refused,
);

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

/// As who looks and prunes at once.
async fn prune(ctldb: &CtlDb, through: Seq, fence: Fence) -> Result<Pruned, Error> {
    ctldb.prune(through, &ctldb.meta().await?, fence).await
}

/// Entry 1 makes the table; then each batch has four: BEGIN, two rows, COMMIT.
async fn batches(place: &Place, count: i64) -> Result<CtlDb> {
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    for price in 0..count {
        ctldb.mutate(&batch(vec![item(&items, "a", price), item(&items, "b", price)])).await?;
    }
    Ok(ctldb)
}

async fn seqs(place: &Place) -> Result<Vec<String>> {
    place.texts("SELECT seq FROM ctlstore_dml_ledger ORDER BY seq").await
}

async fn whole_batches_go_and_the_rest_verifies(place: &Place) -> Result<()> {
    let ctldb = batches(place, 3).await?;
    let before = ctldb.meta().await?;
    assert_eq!(before.last_seq(), seq(13));
    // 7 is inside the batch from 6 to 9.
    let would = ctldb.prunable(seq(7)).await?;
    assert_eq!((would.through, would.entries), (seq(5), 5));
    assert_eq!(ctldb.meta().await?, before, "looking changes nothing");
    let done = prune(&ctldb, seq(7), Fence::Open).await?;
    assert_eq!((done.through, done.entries, done.batches), (seq(5), 5, 1));
    assert_eq!(seqs(place).await?, ["6", "7", "8", "9", "10", "11", "12", "13"]);
    assert_eq!(ctldb.meta().await?.pruned_through, seq(5));
    assert_eq!(place.number("SELECT COUNT(*) FROM ctlstore_batches").await?, 4, "digests stay");
    let verified = ctldb.verify().await?;
    assert_eq!((verified.first, verified.last, verified.entries), (seq(6), seq(13), 8));
    let stats = ctldb.ledger_stats().await?;
    assert_eq!((stats.entries, stats.head), (8, before.last));
    // Lower than it is, or again: nothing.
    for through in [0, 3, 7] {
        let done = prune(&ctldb, seq(through), Fence::Open).await?;
        assert_eq!((done.through, done.entries), (seq(5), 0));
    }
    // What is left is still checked.
    place.sql("UPDATE ctlstore_dml_ledger SET statement = 'x' WHERE seq = 7").await?;
    assert!(matches!(ctldb.verify().await, Err(Error::ChainBroken { at, .. }) if at == seq(9)));
    Ok(())
}

async fn the_last_batch_stays_whatever_is_asked(place: &Place) -> Result<()> {
    let ctldb = batches(place, 3).await?;
    let last = ctldb.meta().await?.last;
    let done = prune(&ctldb, Seq::MAX, Fence::Open).await?;
    assert_eq!((done.through, done.entries), (seq(9), 9));
    assert_eq!(seqs(place).await?, ["10", "11", "12", "13"]);
    let meta = ctldb.meta().await?;
    assert_eq!((meta.last, meta.pruned_through), (last, seq(9)));
    assert_eq!(ctldb.verify().await?.entries, 4);
    // The next batch follows on.
    let items = Arc::new(crate::shape::items());
    let next = ctldb.mutate(&batch(vec![item(&items, "c", 1)])).await?;
    assert_eq!(next.first_seq, seq(14));
    assert_eq!(ctldb.verify().await?.entries, 5);

    let empty = match place {
        Place::Sqlite(_) => Place::sqlite(),
        Place::Server(_) => Place::server(),
    }?;
    let ctldb = empty.migrated().await?;
    assert_eq!(prune(&ctldb, Seq::MAX, Fence::Open).await?.through, Seq::ZERO);
    assert_eq!(ctldb.written_before(LeaderTs::MAX).await?, Seq::ZERO);
    Ok(())
}

async fn age_is_that_of_the_first_young_entry(place: &Place) -> Result<()> {
    let ctldb = batches(place, 3).await?;
    let day = |day: u32, which: &str| {
        format!(
            "UPDATE ctlstore_dml_ledger SET leader_ts = '2026-01-{day:02} 00:00:00.000000' WHERE {which}"
        )
    };
    // The clock of whoever wrote 6 to 9 went ahead.
    for sql in [day(1, "seq < 6"), day(9, "seq BETWEEN 6 AND 9"), day(3, "seq > 9")] {
        place.sql(&sql).await?;
    }
    let before = async |text: &str| anyhow::Ok(ctldb.written_before(text.parse()?).await?.get());
    assert_eq!(before("2026-01-01 00:00:00.000000").await?, 0);
    assert_eq!(before("2026-01-01 00:00:00.000001").await?, 5);
    assert_eq!(before("2026-01-05 00:00:00").await?, 5, "what is behind a young entry stays");
    assert_eq!(before("2026-01-10 00:00:00").await?, 13);
    // Nobody knows when this was written.
    place.sql("UPDATE ctlstore_dml_ledger SET leader_ts = NULL WHERE seq = 4").await?;
    assert_eq!(before("2026-01-10 00:00:00").await?, 3);
    prune(&ctldb, seq(5), Fence::Open).await?;
    assert_eq!(before("2026-01-01 00:00:00").await?, 5, "never below the low water");
    Ok(())
}

async fn a_crash_anywhere_leaves_what_the_next_pruning_finishes(place: &Place) -> Result<()> {
    let ctldb = batches(place, 30).await?;
    let whole = ctldb.meta().await?;
    let mut crashed = 0;
    for nth in 0_u64.. {
        let passed = AtomicU64::new(0);
        let crash = CrashPoints::new(move |_| passed.fetch_add(1, Ordering::SeqCst) == nth);
        let outcome = prune(&place.open_with_crashes(crash)?, seq(100), Fence::Open).await;
        // Whatever is left: no entry above the low water is missing, and the chain holds.
        let meta = ctldb.meta().await?;
        assert!([Seq::ZERO, seq(97)].contains(&meta.pruned_through), "{meta:?}");
        let verified = ctldb.verify().await?;
        assert_eq!(verified.entries, whole.last_seq().since(meta.pruned_through));
        assert_eq!(meta.last, whole.last);
        match outcome {
            Err(Error::Crashed(_)) => crashed += 1,
            done => {
                assert_eq!(done?.through, seq(97));
                break;
            }
        }
    }
    assert!(crashed >= 5, "{crashed}");
    assert_eq!(seqs(place).await?.first().map(String::as_str), Some("98"));

    // Entries that a pruning left below the low water are nobody's, until they go.
    place.sql("UPDATE ctlstore_meta SET pruned_through = 109").await?;
    assert_eq!(ctldb.verify().await?.first, seq(110));
    let would = ctldb.prunable(Seq::ZERO).await?;
    assert_eq!((would.through, would.entries), (seq(109), 12));
    let done = prune(&ctldb, Seq::ZERO, Fence::Open).await?;
    assert_eq!((done.through, done.entries), (seq(109), 12));
    Ok(())
}

async fn the_deposed_prune_nothing(place: &Place) -> Result<()> {
    let ctldb = batches(place, 30).await?;
    let old = Fence::Epoch(ctldb.win_epoch().await?);
    // Between the low water and the entries another operator takes the lead.
    let rival = place.open()?;
    let crash = CrashPoints::new(move |point| {
        if point == "prune: the low water was raised" {
            let rival = rival.clone();
            let win = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(rival.win_epoch()).unwrap();
            });
            win.join().unwrap();
        }
        false
    });
    let error = prune(&place.open_with_crashes(crash)?, seq(50), old).await.unwrap_err();
    assert!(error.is_deposed(), "{error}");
    assert_eq!(seqs(place).await?.len(), 121);
    let error = prune(&ctldb, seq(90), old).await.unwrap_err();
    assert!(error.is_deposed(), "{error}");
    assert_eq!(ctldb.meta().await?.pruned_through, seq(49));
    let new = Fence::Epoch(ctldb.meta().await?.epoch);
    assert_eq!(prune(&ctldb, Seq::ZERO, new).await?.entries, 49);
    Ok(())
}

async fn a_new_history_is_pruned_like_any_other(place: &Place) -> Result<()> {
    let ctldb = batches(place, 2).await?;
    ctldb.new_history(seq(5_000_000_000), &author()).await?;
    // Nothing was written since: the last entry is of the history before, and stays.
    let done = prune(&ctldb, Seq::MAX, Fence::Open).await?;
    assert_eq!((done.through, done.entries), (seq(5), 5));
    let items = Arc::new(crate::shape::items());
    for price in 0..3 {
        ctldb.mutate(&batch(vec![item(&items, "c", price)])).await?;
    }
    assert_eq!(ctldb.written_before(LeaderTs::MAX).await?, seq(5_000_000_003));
    let would = ctldb.prunable(Seq::MAX).await?;
    assert_eq!((would.through, would.entries), (seq(5_000_000_002), 6));
    let done = prune(&ctldb, Seq::MAX, Fence::Open).await?;
    assert_eq!((done.through, done.entries), (would.through, would.entries));
    let verified = ctldb.verify().await?;
    assert_eq!((verified.first, verified.entries), (seq(5_000_000_003), 1));
    assert_eq!(ctldb.ledger_stats().await?.entries, 1);
    Ok(())
}

/// While entries go, ctldb is replaced by a copy of a time when it was not yet pruned.
async fn a_restored_ledger_keeps_what_it_needs(place: &Place) -> Result<()> {
    let ctldb = batches(place, 30).await?;
    let (restored, sql) = (AtomicBool::new(false), place.url()?);
    let crash = CrashPoints::new(move |point| {
        if point == "prune: the low water was raised" && !restored.swap(true, Ordering::SeqCst) {
            let url = sql.clone();
            let back = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let lower = "UPDATE ctlstore_meta SET pruned_through = 9";
                runtime.unwrap().block_on(Place::sql_at(&url, lower)).unwrap();
            });
            back.join().unwrap();
        }
        false
    });
    prune(&place.open_with_crashes(crash)?, seq(90), Fence::Open).await?;
    assert_eq!(seqs(place).await?.first().map(String::as_str), Some("10"));
    assert_eq!(ctldb.verify().await?.first, seq(10));
    Ok(())
}

/// Between the look and the pruning, ctldb goes back to a backup: its entries are all that it has.
async fn what_was_decided_about_another_ledger_is_not_done(place: &Place) -> Result<()> {
    let ctldb = batches(place, 30).await?;
    let seen = ctldb.meta().await?;
    let refused = async |seen: &ctldb::Meta| {
        let error = ctldb.prune(seq(90), seen, Fence::Open).await.unwrap_err();
        assert!(matches!(error, Error::LedgerReplaced), "{error}");
        assert_eq!(ctldb.meta().await?.pruned_through, Seq::ZERO);
        anyhow::Ok(())
    };
    // The tail is lost.
    let lost = "DELETE FROM ctlstore_batches WHERE last_seq > 97; DELETE FROM ctlstore_dml_ledger WHERE seq > 97;";
    let back = "UPDATE ctlstore_meta SET last_seq = 97, chain = (SELECT chain FROM ctlstore_batches WHERE last_seq = 97), last_digest = chain";
    for sql in lost.split_terminator(';').chain([back]) {
        place.sql(sql).await?;
    }
    refused(&seen).await?;
    // Others were written in its place, further than before.
    let items = Arc::new(crate::shape::items());
    for price in 100..110 {
        ctldb.mutate(&batch(vec![item(&items, "a", price), item(&items, "b", price)])).await?;
    }
    assert!(ctldb.meta().await?.last_seq() > seen.last_seq());
    refused(&seen).await?;
    let seen = ctldb.meta().await?;
    // What only grew is the same; a new history is not.
    ctldb.mutate(&batch(vec![item(&items, "c", 1)])).await?;
    ctldb.new_history(seq(1000), &author()).await?;
    refused(&seen).await?;
    let seen = ctldb.meta().await?;
    assert_eq!(ctldb.prune(seq(90), &seen, Fence::Open).await?.through, seq(89));
    ctldb.mutate(&batch(vec![item(&items, "c", 2)])).await?;
    let seen = ctldb.meta().await?;
    ctldb.mutate(&batch(vec![item(&items, "c", 3)])).await?;
    assert_eq!(ctldb.prune(seq(93), &seen, Fence::Open).await?.through, seq(93));
    Ok(())
}

/// No batch held the lock for longer than it may, in any round: by the product's own clock, less what this machine kept
/// everybody waiting for.
async fn writers_and_verifiers_go_on_meanwhile(place: &Place) -> Result<()> {
    let ctldb = batches(place, 1).await?;
    for _ in 0..3 {
        let stalls = Stalls::watch();
        let done = prune_beside_a_writer(place, &ctldb).await?;
        let stalled = stalls.longest();
        assert!(
            done.longest < Duration::from_millis(100) + stalled,
            "{done:?}, while the machine stalled for {stalled:?} at most"
        );
    }
    Ok(())
}

/// How long a thread that has nothing to do waits for the machine.
struct Stalls {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Duration>,
}

impl Stalls {
    fn watch() -> Self {
        const PAUSE: Duration = Duration::from_millis(2);
        let stop = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !own.load(Ordering::SeqCst) {
                let since = Instant::now();
                std::thread::sleep(PAUSE);
                longest = longest.max(since.elapsed().saturating_sub(PAUSE));
            }
            longest
        });
        Self { stop, thread }
    }

    fn longest(self) -> Duration {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

async fn prune_beside_a_writer(place: &Place, ctldb: &CtlDb) -> Result<Pruned> {
    let items = Arc::new(crate::shape::items());
    for _ in 0..4 {
        let rows = (0..2000).map(|price| item(&items, "many", price)).collect();
        ctldb.mutate(&batch(rows)).await?;
        ctldb.mutate(&batch(vec![item(&items, "end", 1)])).await?;
    }
    let before = ctldb.meta().await?.last_seq();
    let turns = place.lock_clock().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, rows, own_stop) = (place.open()?, Arc::clone(&items), Arc::clone(&stop));
    let writing = tokio::spawn(async move {
        let (mut written, mut longest) = (0_u32, Duration::ZERO);
        while !own_stop.load(Ordering::SeqCst) {
            let since = Instant::now();
            writer.mutate(&batch(vec![item(&rows, "b", written.into())])).await?;
            (written, longest) = (written + 1, longest.max(since.elapsed()));
        }
        anyhow::Ok((written, longest))
    });
    let done = prune(ctldb, before, Fence::Open).await?;
    let verified = ctldb.verify().await?;
    stop.store(true, Ordering::SeqCst);
    let (written, longest) = writing.await??;
    eprintln!("{done:?}; meanwhile {written} batches, the slowest took {longest:?}; {verified:?}");
    assert!(done.entries > 8000 && done.batches >= 4, "{done:?}");
    assert!(u64::from(written) >= done.batches, "writers come between: {written}, {done:?}");
    assert!(place.lock_clock().await? - turns >= i64::try_from(done.batches)? + i64::from(written));
    assert_eq!(ctldb.verify().await?.last, ctldb.meta().await?.last_seq());
    Ok(done)
}

async fn a_ledger_of_the_original_is_refused(place: &Place) -> Result<()> {
    place
        .sql("CREATE TABLE ctlstore_dml_ledger (seq INTEGER PRIMARY KEY, leader_ts DATETIME, statement TEXT); CREATE TABLE locks (id VARCHAR(191) PRIMARY KEY, clock BIGINT NOT NULL); INSERT INTO locks VALUES ('ledger', 0); INSERT INTO ctlstore_dml_ledger VALUES (1, NULL, 'x')")
        .await?;
    let ctldb = place.open()?;
    for error in [
        prune(&ctldb, Seq::MAX, Fence::Open).await.unwrap_err(),
        ctldb.prunable(Seq::MAX).await.unwrap_err(),
        ctldb.written_before(LeaderTs::MAX).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Original), "{error}");
    }
    assert_eq!(seqs(place).await?, ["1"]);
    Ok(())
}
