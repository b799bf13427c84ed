//! Kill -9, again and again, while the agent replays, empties the WAL and replaces the file: after each the LDB is exactly
//! the ledger up to its position.
//!
//! An agent is stopped when it is seen at the work that is wanted, what it then really is at is looked up, and it is
//! killed before it can go on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::agent::args::LdbLimits;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reader::Ldb;
use tokio_util::sync::CancellationToken;

use crate::agent::config;
use crate::content::{self, Naive};
use crate::ledger::{Ledger, TABLE, frame, upsert};
use crate::victim::{Victim, Work};

const CHILD: &str = "AGENT_TEST_KILLED";
/// How many agents are killed.
const KILLS: u32 = 500;
/// Agents that are killed beside each other.
const LANES: u32 = 4;
/// So small that a few transactions lead to a checkpoint, and to a replacement where a reader holds the WAL.
const SOFT: u64 = 32 << 10;
const HARD: u64 = 96 << 10;
/// The work that is wanted is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was done by the agents that were killed.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    kills: u32,
    /// Before there was anything to read.
    unborn: u32,
    transactions: u32,
    checkpoints: u32,
    replacements: u32,
    /// Between the link and the control page.
    linked: u32,
    /// Replacements that came to their end, before the kill or at the next start.
    replaced: u32,
    /// Rounds in which something was applied.
    moved: u32,
}

#[test]
fn kill_minus_nine_loses_and_repeats_nothing() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(&PathBuf::from(dir));
    }
    let seen = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|seed| scope.spawn(move || Lane::new(seed).kill_often(KILLS / LANES)))
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).fold(Seen::default(), Seen::and)
    });
    println!("{seen:?}");
    assert_eq!(seen.kills, KILLS);
    // A quarter of the rounds is meant for each.
    let few = KILLS / 16;
    assert!(seen.transactions >= few, "{seen:?}");
    assert!(seen.checkpoints >= few, "{seen:?}");
    assert!(seen.replacements >= few, "{seen:?}");
    assert!(seen.replaced >= few / 2, "{seen:?}");
    assert!(seen.moved >= KILLS / 4, "{seen:?}");
}

impl Seen {
    fn and(self, other: Self) -> Self {
        Self {
            kills: self.kills + other.kills,
            unborn: self.unborn + other.unborn,
            transactions: self.transactions + other.transactions,
            checkpoints: self.checkpoints + other.checkpoints,
            replacements: self.replacements + other.replacements,
            linked: self.linked + other.linked,
            replaced: self.replaced + other.replaced,
            moved: self.moved + other.moved,
        }
    }

    fn note(&mut self, work: Work) {
        self.kills += 1;
        match work {
            Work::Other => {}
            Work::Transaction => self.transactions += 1,
            Work::Checkpoint => self.checkpoints += 1,
            Work::Replacement { linked } => {
                self.replacements += 1;
                self.linked += u32::from(linked);
            }
        }
    }
}

/// A directory whose agents are killed one after the other.
struct Lane {
    dir: tempfile::TempDir,
    ldb: PathBuf,
    ledger: Ledger,
    naive: Naive,
    random: StdRng,
    last: u64,
    seen: Seen,
}

impl Lane {
    fn new(seed: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(dir.path());
        ledger.append(&[TABLE]);
        Self {
            ldb: dir.path().join("ldb"),
            dir,
            ledger,
            naive: Naive::new(),
            random: StdRng::seed_from_u64(seed.into()),
            last: 0,
            seen: Seen::default(),
        }
    }

    fn kill_often(mut self, rounds: u32) -> Seen {
        for round in 0..rounds {
            let before = generation(&self.ldb);
            let reader = (round % 4 == 3).then(|| held(&self.ldb)).flatten();
            let victim = self.start();
            let random = Duration::from_millis(self.random.random_range(0..200));
            match round % 4 {
                // At a random moment of its first 200 ms; in an empty directory first.
                0 => self.write_for(random),
                1 => self.write_until(|| victim.is_at(Work::Transaction)),
                2 => self.write_until(|| victim.is_at(Work::Checkpoint)),
                _ => {
                    self.write_until(|| victim.is_at(Work::Replacement { linked: false }));
                    std::thread::sleep(random / 16);
                }
            }
            let work = victim.kill();
            self.seen.note(work);
            drop(reader);
            self.seen.replaced += u32::from(before.is_some() && generation(&self.ldb) != before);
            self.check(round);
        }
        self.end();
        self.seen
    }

    fn start(&self) -> Victim {
        const TEST: &str = "kill::kill_minus_nine_loses_and_repeats_nothing";
        Victim::start(TEST, CHILD, self.dir.path(), &self.ldb)
    }

    fn write_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.write();
            let pause = Duration::from_micros(self.random.random_range(0..20_000));
            std::thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
        }
    }

    fn write_until(&mut self, is_there: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut next = Instant::now();
        while !is_there() && Instant::now() < end {
            if Instant::now() >= next {
                self.write();
                next = Instant::now() + Duration::from_millis(5);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn write(&mut self) {
        let random = &mut self.random;
        let kind = random.random_range(0..8);
        let mut row = || upsert(&format!("row {}", random.random_range(0..50)), random.random());
        let texts = match kind {
            0 => frame([row(), row(), row()]),
            1 => frame((0..100).map(|_| row())),
            2 => vec!["DELETE FROM fam___tbl WHERE \"id\" = 'row 7'".to_owned()],
            _ => vec![row()],
        };
        self.ledger.append(&texts);
    }

    /// Nothing is lost, nothing is there twice or by half, nothing steps back.
    fn check(&mut self, round: u32) {
        if !self.ldb.join("ctl").exists() {
            // The last thing that is made at the first start.
            assert_eq!(self.last, 0, "round {round}");
            self.seen.unborn += 1;
            return;
        }
        let reader = Ldb::open(&self.ldb).unwrap();
        let seq = reader.position().unwrap().map_or(0, |position| position.seq.get());
        assert!(seq >= self.last, "round {round}: {seq} after {}", self.last);
        self.seen.moved += u32::from(seq > self.last);
        self.last = seq;
        assert_eq!(reader.seq().unwrap().get(), seq);
        let want = self.naive.replay(&self.ledger.entries, seq);
        assert_eq!(content::of_ldb(&self.ldb), want, "round {round} at {seq}");
        is_sound(&self.ldb);
    }

    /// Left alone, an agent brings all of the ledger.
    fn end(&mut self) {
        let agent = self.start();
        let end = Instant::now() + Duration::from_secs(60);
        let reader = loop {
            if let Ok(reader) = Ldb::open(&self.ldb)
                && reader.seq().unwrap().get() == self.ledger.head()
            {
                break reader;
            }
            assert!(Instant::now() < end, "it does not catch up");
            std::thread::sleep(Duration::from_millis(10));
        };
        drop(agent);
        assert_eq!(content::of_ldb(&self.ldb), content::naive(&self.ledger.entries));
        assert_eq!(reader.position().unwrap().unwrap().chain, self.ledger.chain);
        is_sound(&self.ldb);
    }
}

fn is_sound(ldb: &Path) {
    let check = "PRAGMA quick_check";
    let check: String = content::open(ldb).query_row(check, [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

/// The generation that is served.
fn generation(ldb: &Path) -> Option<PathBuf> {
    std::fs::read_link(ldb.join("current")).ok()
}

/// A reader in the middle of a transaction, which keeps the WAL from being cut.
fn held(ldb: &Path) -> Option<rusqlite::Connection> {
    generation(ldb)?;
    let reader = content::open(ldb);
    reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").unwrap();
    Some(reader)
}

/// What is killed: an agent in a process of its own.
fn child(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = config(&dir.join("ldb"), ::ledger::CtlDbUrl::Sqlite(dir.join("ctldb.sqlite")));
    config.poll_interval = Duration::from_millis(1);
    config.ldb =
        LdbLimits { wal_soft_limit: SOFT, wal_hard_limit: Some(HARD), ..LdbLimits::default() };
    (config.read_bind, config.admin_bind) = (None, None);
    runtime.block_on(::agent::run::run(config, CancellationToken::new(), |_| ())).unwrap();
}
