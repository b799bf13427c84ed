//! Who follows has the keys that the LDB has, from wherever it began: while the agent is killed again and again, while
//! files are rotated under its feet, and when it was away for a while.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ::agent::args::{ChangelogFormat, ChangesArgs};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reader::Ldb;
use tokio_util::sync::CancellationToken;

use crate::agent::config;
use crate::follower::{Follower, Way};
use crate::ledger::{Ledger, frame};

const CHILD: &str = "CHANGES_TEST_KILLED";
const KILLS: u32 = 40;
/// So small that a few transactions fill a file, and who is away for long has fallen behind.
const SIZE: u64 = 32 << 10;
const FILES: u32 = 4;

fn log(dir: &Path) -> PathBuf {
    dir.join("ldb/change.log")
}

/// An agent that is killed.
struct Victim(Child);

impl Victim {
    fn start(dir: &Path) -> Self {
        let test = "kill::who_follows_has_the_keys_that_the_ldb_has";
        // By this name it is there even after another build took its place.
        let mut command = Command::new("/proc/self/exe");
        let command = command.args(["--exact", test]).env(CHILD, dir).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn child(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = config(&dir.join("ldb"), ::ledger::CtlDbUrl::Sqlite(dir.join("ctldb.sqlite")));
    config.poll_interval = Duration::from_millis(2);
    (config.read_bind, config.admin_bind) = (None, None);
    config.changes = ChangesArgs {
        changelog_path: Some(log(dir)),
        changelog_size: SIZE,
        changelog_format: ChangelogFormat::V2,
        changelog_files: FILES,
    };
    runtime.block_on(::agent::run::run(config, CancellationToken::new(), |_| ())).unwrap();
}

const TABLES: [&str; 2] = ["fam___one", "fam___two"];

fn create(table: &str) -> String {
    format!("CREATE TABLE {table} (\"id\" INTEGER, \"s\" VARCHAR(191), PRIMARY KEY(\"s\",\"id\"));")
}

/// What the ledger gets next; tables are there, unless they are dropped and made in one go.
fn next(random: &mut StdRng) -> Vec<String> {
    let table = TABLES[random.random_range(0..2)];
    let (id, other) = (random.random_range(0..30), random.random_range(0..30));
    let upsert =
        |id: i32| format!("REPLACE INTO {table} (\"id\",\"s\") VALUES({id},'it''s <{id}>')");
    let delete =
        |id: i32| format!("DELETE FROM {table} WHERE \"s\" = 'it''s <{id}>' AND \"id\" = {id}");
    match random.random_range(0..40) {
        0 => vec![format!("DELETE FROM {table}")],
        1 => vec![format!("DROP TABLE IF EXISTS {table}"), create(table)],
        2 => frame((0..100).map(upsert)),
        3..10 => frame([upsert(id), delete(other), upsert(other)]),
        10..20 => vec![delete(id)],
        _ => vec![upsert(id)],
    }
}

#[test]
fn who_follows_has_the_keys_that_the_ldb_has() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(&PathBuf::from(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (ldb, mut random) = (dir.path().join("ldb"), StdRng::seed_from_u64(7));
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&TABLES.map(create));
    let mut victim = Victim::start(dir.path());
    wait(&ldb, 2);

    let (file, over) = (Way::File(log(dir.path())), AtomicBool::new(false));
    let stays = |way: &Way| {
        let mut follower = Follower::new(&ldb, way.clone());
        while !over.load(Ordering::SeqCst) {
            follower.follow(Duration::from_millis(20));
        }
        follower
    };
    let (mut followers, victim) = thread::scope(|scope| {
        let steady = [file.clone(), Way::Socket].map(|way| scope.spawn(move || stays(&way)));
        // These come and go.
        let others = [file.clone(), Way::Socket].map(|way| Follower::new(&ldb, way));
        let mut others = Vec::from(others);
        for round in 0..KILLS {
            for _ in 0..random.random_range(1..30) {
                ledger.append(&next(&mut random));
            }
            // It is killed while it applies them, or soon after.
            let before = Ldb::open(&ldb).unwrap().seq().unwrap().get();
            wait(&ldb, before + 1);
            if random.random_range(0..3) == 0 {
                others.iter_mut().for_each(|follower| follower.follow(Duration::from_millis(20)));
                others.iter_mut().for_each(Follower::pause);
            }
            thread::sleep(Duration::from_millis(random.random_range(0..30)));
            drop(victim);
            victim = Victim::start(dir.path());
            // One that begins now, wherever the LDB is.
            if round % 10 == 5 {
                others.push(Follower::new(&ldb, file.clone()));
            }
        }
        wait(&ldb, ledger.head());
        over.store(true, Ordering::SeqCst);
        let steady = steady.map(|thread| thread.join().unwrap());
        (steady.into_iter().chain(others).collect::<Vec<_>>(), victim)
    });
    followers.iter_mut().for_each(|follower| follower.catches_up(ledger.head()));
    let seen: Vec<_> = followers.iter().map(|one| (one.told, one.reloads)).collect();
    println!("{KILLS} kills, {} entries, told and reloads {seen:?}", ledger.head());
    assert!(numbered(dir.path()) > 1, "the log was not rotated");
    // A kill alone is no reason to reload: the file has all, for those who keep up.
    assert!(seen[0].0 > 500 && seen[0].1 <= 2, "{seen:?}");
    assert!(seen[1].0 > 100, "{seen:?}");
    drop(victim);
}

fn wait(ldb: &Path, seq: u64) {
    let there = || Ldb::open(ldb).and_then(|ldb| ldb.seq()).is_ok_and(|have| have.get() >= seq);
    for _ in 0..3000 {
        if there() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("the LDB did not reach {seq}");
}

fn numbered(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir.join("ldb")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("change.log.") && !name.ends_with("pending")).count()
}
