//! Looks that run ahead: what is in hand is bounded, and what turns out to be another ledger is never applied.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daemon::admin::Liveness;
use daemon::ready::Readiness;
use ledger::{Position, Seq};
use tokio_util::sync::CancellationToken;

use super::{Ledger, TABLE, frame, upsert};
use crate::args::LdbLimits;
use crate::bootstrap::ready::Serving;
use crate::ldb::Writer;
use crate::metrics::Metrics;
use crate::replay::{Links, Replay, Told};
use crate::source::{Fetched, Limit, Source, SourceError, Survey, Upstream};
use crate::status::{State, Status};

type Answer = dyn FnMut(Option<Position>, Limit) -> Fetched + Send;

/// Answers looks at once.
struct Scripted(Box<Answer>);

#[async_trait]
impl Source for Scripted {
    async fn fetch(
        &mut self,
        from: Option<Position>,
        limit: Limit,
    ) -> Result<Fetched, SourceError> {
        Ok((self.0)(from, limit))
    }

    async fn survey(&mut self, _: &[Seq]) -> Result<Survey, SourceError> {
        Err(SourceError::NoLedger)
    }
}

struct Running {
    status: Status,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn run(
    dir: &Path,
    answer: impl FnMut(Option<Position>, Limit) -> Fetched + Send + 'static,
) -> Running {
    let writer = Writer::open(dir, LdbLimits::default()).unwrap();
    let upstream = Upstream::of(Box::new(Scripted(Box::new(answer))));
    let (status, stop) = (Status::new(), CancellationToken::new());
    let pulse = Liveness::new().watch("replay", Duration::from_secs(600));
    let told = Told::new(status.clone(), Metrics::default(), Serving::new(&Readiness::new(), true));
    let links = Links::none(&writer);
    let replay = Replay::new(upstream, told, links, Duration::from_millis(5), pulse);
    let running = replay.run(writer, stop.clone());
    let task = tokio::spawn(async { running.await.unwrap() });
    Running { status, stop, task }
}

impl Running {
    async fn until(&self, seq: Seq, state: State) {
        let result = testkit::eventually(Duration::from_secs(60), async || {
            let report = self.status.report();
            let stands = report.position.map_or(Seq::ZERO, |own| own.seq);
            anyhow::ensure!(stands == seq && report.state == state, "{report:?}");
            Ok(())
        });
        result.await.unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn value(dir: &Path, id: &str) -> Option<String> {
    let connection = rusqlite::Connection::open(dir.join("ldb.db")).unwrap();
    let sql = "SELECT n FROM fam___tbl WHERE id = ?";
    connection.query_row(sql, [id], |row| row.get(0)).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_hand_is_bounded_whatever_the_size_of_entries() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new();
    ledger.append(&[TABLE.to_owned()]);
    let large = "x".repeat(15 << 20);
    let texts: Vec<_> = (0..16).map(|n| upsert(&format!("row {}", n % 2), &large)).collect();
    let (singles, framed) = texts.split_at(8);
    singles.iter().for_each(|text| ledger.append(std::slice::from_ref(text)));
    ledger.append(&frame(framed.to_vec()));
    let (head, size) = (ledger.head(), texts[0].len());

    // A look stays within what was taken for it; the room does the rest.
    let most = Arc::new(Mutex::new((0, 0)));
    let seen = Arc::clone(&most);
    let running = run(dir.path(), move |from, limit| {
        let fetched = ledger.fetched(from, limit);
        let bytes: usize = fetched.entries.iter().map(|entry| entry.statement.len()).sum();
        let mut seen = seen.lock().unwrap();
        *seen = (seen.0.max(bytes), seen.1 + 1);
        fetched
    });
    running.until(head, State::Following).await;
    let (largest, looks) = *most.lock().unwrap();
    assert!((size..=36 << 20).contains(&largest), "a look brought {largest} bytes");
    assert!(looks >= 8, "{looks} looks");
    assert_eq!(value(dir.path(), "row 1").map(|text| text.len()), Some(15 << 20));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_changes_while_looks_run_ahead_is_found_and_not_applied() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Ledger::new();
    kept.append(&[TABLE.to_owned()]);
    (0..500).for_each(|n| kept.append(&[upsert(&format!("kept {n}"), "kept")]));
    let (mut lost, mut stays) = (kept.clone(), kept.clone());
    (0..30_000).for_each(|n| lost.append(&[upsert(&format!("row {n}"), "lost")]));
    (0..30_000).for_each(|n| stays.append(&[upsert(&format!("row {n}"), "stays")]));
    let head = stays.head();
    let mut looks = 0;
    let running = run(dir.path(), move |from, limit| {
        looks += 1;
        // The fail-over comes when three looks are in hand.
        if looks <= 3 { lost.fetched(from, limit) } else { stays.fetched(from, limit) }
    });
    let result = testkit::eventually(Duration::from_secs(60), async || {
        let report = running.status.report();
        let stands = report.position.map_or(Seq::ZERO, |own| own.seq);
        let ended = report.state == State::Forked || stands == head;
        anyhow::ensure!(ended, "{report:?}");
        Ok(report)
    });
    let report = result.await.unwrap();
    // Fast looks beat the first commit, or the commit was first; never is there a bit of both.
    if report.state == State::Forked {
        let stands = report.position.unwrap().seq.get();
        assert!(stands < 501 + 7000, "nothing is applied after the fork was seen: {stands}");
        assert_ne!(value(dir.path(), "row 0").as_deref(), Some("stays"));
    } else {
        assert_eq!(value(dir.path(), "row 0").as_deref(), Some("stays"));
        assert_eq!(value(dir.path(), "row 29999").as_deref(), Some("stays"));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_far_ahead_stops_exactly_before_its_unit() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new();
    ledger.append(&[TABLE.to_owned()]);
    (0..9000).for_each(|n| ledger.append(&[upsert(&format!("row {n}"), "good")]));
    let good = ledger.head();
    let bad = upsert("in the frame", "bad").replace("\"n\"", "\"none\"");
    let many = (0..5000).map(|n| upsert(&format!("framed {n}"), "never"));
    ledger.append(&frame(many.chain([bad])));
    (0..3000).for_each(|n| ledger.append(&[upsert(&format!("row {n}"), "later")]));
    let running = run(dir.path(), move |from, limit| ledger.fetched(from, limit));
    running.until(good, State::Poisoned).await;
    let message = running.status.report().message.unwrap();
    let at = good.get() + 5002;
    assert!(message.contains(&format!("entry {at} cannot be applied")), "{message}");
    assert_eq!(value(dir.path(), "row 8999").as_deref(), Some("good"));
    assert_eq!(value(dir.path(), "framed 0"), None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_comes_down_is_kept_and_one_that_rises_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new();
    ledger.append(&[TABLE.to_owned()]);
    (0..5000).for_each(|n| ledger.append(&[upsert(&format!("row {n}"), "n")]));
    let head = ledger.head();
    let (held, free) = (Seq::new(2500).unwrap(), CancellationToken::new());
    let let_go = free.clone();
    let running = run(dir.path(), move |from, limit| {
        ledger.hold = (!let_go.is_cancelled()).then_some(held);
        ledger.fetched(from, limit)
    });
    running.until(held, State::Held).await;
    free.cancel();
    running.until(head, State::Following).await;
    running.stop().await;
}
