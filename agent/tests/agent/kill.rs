//! Kill -9, again and again, while the agent replays, cuts the WAL and replaces the file: after each the LDB is exactly
//! the ledger up to its position.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::agent::args::LdbLimits;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reader::Ldb;
use tokio_util::sync::CancellationToken;

use crate::agent::config;
use crate::content::{self, Naive};
use crate::ledger::{Ledger, TABLE, frame, upsert};

const CHILD: &str = "AGENT_TEST_KILLED";
/// Agents that are killed beside each other, and how often each: together 500 times.
const LANES: u64 = 5;
const ROUNDS: u32 = 100;
/// So small that most rounds cut the WAL, and those with a reader that holds it replace the file.
const SOFT: u64 = 32 << 10;
const HARD: u64 = 96 << 10;

#[test]
fn kill_minus_nine_loses_and_repeats_nothing() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(&PathBuf::from(dir));
    }
    std::thread::scope(|scope| {
        let lanes: Vec<_> =
            (0..LANES).map(|lane| scope.spawn(move || killed_often(lane))).collect();
        let (mut moved, mut switched) = (0, 0);
        for lane in lanes {
            let (more, others) = lane.join().unwrap();
            (moved, switched) = (moved + more, switched + others);
        }
        let all = ROUNDS * u32::try_from(LANES).unwrap();
        assert!(moved > all / 6, "only {moved} of {all} rounds applied anything");
        // Kills within a replacement are not sure to come about here: crash points of the writer's own tests cover it.
        let _: u32 = switched;
    });
}

/// In how many rounds something was applied, and in how many the file was replaced.
fn killed_often(seed: u64) -> (u32, u32) {
    let dir = tempfile::tempdir().unwrap();
    let ldb = dir.path().join("ldb");
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let (mut naive, mut random) = (Naive::new(), StdRng::seed_from_u64(seed));
    let (mut last, mut moved, mut switched) = (0, 0, 0);
    // How long an agent lives at most: adapted so that about a third of them come to apply something.
    let mut life = Duration::from_millis(150);
    for round in 0..ROUNDS {
        let before = generation(&ldb);
        let reader = (round % 2 == 1).then(|| held(&ldb)).flatten();
        let mut agent = Killed(spawn(dir.path()));
        // Some are killed while they start, most at work.
        let end = Instant::now() + life.mul_f64(random.random());
        for _ in 0..random.random_range(1..16) {
            write(&mut ledger, &mut random);
            let pause = Duration::from_micros(random.random_range(0..9000));
            std::thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
        }
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        agent.0.kill().unwrap();
        agent.0.wait().unwrap();
        drop(reader);
        switched += u32::from(before.is_some() && generation(&ldb) != before);
        // Killed before it made anything, or in the middle of making it.
        life = life.mul_f64(1.05).min(Duration::from_secs(1));
        let Ok(reader) = Ldb::open(&ldb) else { continue };
        let position = reader.position().unwrap();
        let seq = position.map_or(0, |position| position.seq.get());
        assert!(seq >= last, "round {round}: {seq} after {last}");
        if seq > last {
            moved += 1;
            life = life.mul_f64(0.86);
        }
        last = seq;
        let want = naive.replay(&ledger.entries, seq);
        assert_eq!(content::of_ldb(&ldb), want, "round {round} at {seq}");
        assert_eq!(reader.seq().unwrap().get(), seq);
        let check: String =
            content::open(&ldb).query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
    let mut agent = Killed(spawn(dir.path()));
    let reader = Ldb::open(&ldb).unwrap();
    for _ in 0..2000 {
        if reader.seq().unwrap().get() == ledger.head() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    agent.0.kill().unwrap();
    assert_eq!(content::of_ldb(&ldb), content::naive(&ledger.entries));
    assert_eq!(reader.position().unwrap().unwrap().chain, ledger.chain);
    (moved, switched)
}

/// The generation that is served.
fn generation(ldb: &Path) -> Option<PathBuf> {
    std::fs::read_link(ldb.join("current")).ok()
}

/// A reader in the middle of a transaction, which keeps the WAL from being cut.
fn held(ldb: &Path) -> Option<rusqlite::Connection> {
    generation(ldb)?;
    let reader = content::open(ldb);
    reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").ok()?;
    Some(reader)
}

fn write(ledger: &mut Ledger, random: &mut StdRng) {
    let mut row = || upsert(&format!("row {}", random.random_range(0..50)), random.random());
    let texts = match row().len() % 4 {
        0 => vec![row()],
        1 => frame([row(), row(), row()]),
        2 => frame((0..100).map(|_| row())),
        _ => vec!["DELETE FROM fam___tbl WHERE \"id\" = 'row 7'".to_owned()],
    };
    ledger.append(&texts);
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn spawn(dir: &Path) -> Child {
    // By this name it is there even after another build took its place.
    Command::new("/proc/self/exe")
        .args(["--exact", "kill::kill_minus_nine_loses_and_repeats_nothing"])
        .env(CHILD, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn child(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = config(&dir.join("ldb"), ::ledger::CtlDbUrl::Sqlite(dir.join("ctldb.sqlite")));
    config.poll_interval = Duration::from_millis(1);
    config.ldb =
        LdbLimits { wal_soft_limit: SOFT, wal_hard_limit: Some(HARD), ..LdbLimits::default() };
    (config.read_bind, config.admin_bind) = (None, None);
    runtime.block_on(::agent::run::run(config, CancellationToken::new(), |_| ())).unwrap();
}
