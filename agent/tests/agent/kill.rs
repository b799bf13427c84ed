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
const ROUNDS: u32 = 500;
/// So small that most rounds cut the WAL, and those with a reader that holds it replace the file.
const SOFT: u64 = 64 << 10;
const HARD: u64 = 160 << 10;

#[test]
fn kill_minus_nine_loses_and_repeats_nothing() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(&PathBuf::from(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let ldb = dir.path().join("ldb");
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let (mut naive, mut random) = (Naive::new(), StdRng::seed_from_u64(7));
    let (mut last, mut moved, mut switched) = (0, 0, 0);
    // How long an agent lives at most: adapted so that about a third of them come to apply something.
    let mut life = Duration::from_millis(150);
    for round in 0..ROUNDS {
        let before = generation(&ldb);
        let reader = (round % 2 == 1).then(|| held(&ldb)).flatten();
        let mut agent = Killed(spawn(dir.path()));
        // Some are killed while they start, most at work.
        let end = Instant::now() + life.mul_f64(random.random());
        while Instant::now() < end {
            write(&mut ledger, &mut random);
            std::thread::sleep(Duration::from_micros(random.random_range(0..3000)));
        }
        agent.0.kill().unwrap();
        agent.0.wait().unwrap();
        drop(reader);
        switched += u32::from(before.is_some() && generation(&ldb) != before);
        // Killed before it made anything, or in the middle of making it.
        life = life.mul_f64(1.05);
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
    assert!(moved > ROUNDS / 6, "only {moved} of {ROUNDS} rounds applied anything");
    assert!(switched > ROUNDS / 50, "only {switched} of {ROUNDS} rounds replaced the file");

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
        2 => frame((0..300).map(|_| row())),
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
    Command::new(std::env::current_exe().unwrap())
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
