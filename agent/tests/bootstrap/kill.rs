//! Kill -9 of a node while it loads a snapshot and switches to it: after each kill, what is served is nothing or the ledger
//! up to its position, and in the end it is all of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::agent::args::SnapshotArgs;
use ::ledger::CtlDbUrl;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::Location;
use tokio_util::sync::CancellationToken;

use crate::agent::config;
use crate::begin::prune;
use crate::content::{self, Naive};
use crate::ledger::{Ledger, TABLE, upsert};
use crate::nodes::Place;

const CHILD: &str = "AGENT_TEST_BOOTSTRAP_KILLED";
const ROUNDS: u32 = 60;
const PATIENCE: Duration = Duration::from_secs(20);

/// A step at which a node is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The folder of the download is there.
    Download,
    /// A draft is there, which is not served.
    Draft,
    /// `current` leads to the new file.
    Linked,
    /// At a random time after the start.
    Random,
}

/// The fresh node begins, or an old one is too old: both switch, from nothing and from something.
#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_while_loading_and_switching() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(Path::new(&dir)).await;
    }
    let (dir, place) = (tempfile::tempdir().unwrap(), Place::folder());
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE]);
    let long = "x".repeat(150);
    let fill = |ledger: &mut Ledger, value: i64| {
        let rows = (0..1500).map(|row| upsert(&format!("{row} {long}"), value));
        ledger.append(&crate::ledger::frame(rows));
    };
    fill(&mut ledger, 1);
    let old = dir.path().join("old");
    let agent = crate::agent::Agent::start(&old, ledger.url()).await;
    agent.reaches(ledger.head()).await;
    agent.stop().await;
    fill(&mut ledger, 2);
    place.publish(ledger.url(), ledger.head()).await;
    let low = ledger.head();
    fill(&mut ledger, 3);
    prune(&ledger, low);
    std::fs::write(dir.path().join("store"), place.folder.to_str().unwrap()).unwrap();

    let mut lane = Lane {
        dir: dir.path().to_owned(),
        old,
        ledger,
        random: StdRng::seed_from_u64(7),
        seen: Vec::new(),
    };
    for round in 0..ROUNDS {
        lane.round(round);
    }
    let count = |step: Step| lane.seen.iter().filter(|seen| **seen == step).count();
    println!(
        "{} kills: {} downloading, {} with a draft, {} linked",
        lane.seen.len(),
        count(Step::Download),
        count(Step::Draft),
        count(Step::Linked)
    );
    for step in [Step::Download, Step::Draft, Step::Linked] {
        assert!(count(step) >= 5, "{step:?} was met {} times", count(step));
    }
}

struct Lane {
    dir: PathBuf,
    old: PathBuf,
    ledger: Ledger,
    random: StdRng,
    /// At what a node was killed.
    seen: Vec<Step>,
}

impl Lane {
    /// One node, killed a few times, then left to itself.
    fn round(&mut self, round: u32) {
        let ldb = self.dir.join("ldb");
        drop(std::fs::remove_dir_all(&ldb));
        if round % 2 == 1 {
            let copied = Command::new("cp").arg("-a").arg(&self.old).arg(&ldb).status().unwrap();
            assert!(copied.success());
        }
        let served = std::fs::read_link(ldb.join("current")).ok();
        for kill in 0..2 {
            let step = [Step::Download, Step::Draft, Step::Linked, Step::Random]
                [usize::try_from((round / 2 + kill) % 4).unwrap()];
            let child = Running::start(&self.dir);
            let random = Duration::from_millis(self.random.random_range(0..150));
            let end = Instant::now() + if step == Step::Random { random } else { PATIENCE };
            while Instant::now() < end
                && !is_at(&ldb, &served, step)
                && !is_done(&ldb, self.ledger.head())
            {
                std::thread::sleep(Duration::from_micros(50));
            }
            std::thread::sleep(random / 50);
            drop(child);
            let met = [Step::Linked, Step::Draft, Step::Download]
                .into_iter()
                .find(|step| is_at(&ldb, &served, *step));
            self.seen.push(met.unwrap_or(Step::Random));
            self.check(&ldb, round);
        }
        let child = Running::start(&self.dir);
        let end = Instant::now() + PATIENCE;
        while !is_done(&ldb, self.ledger.head()) || ldb.join(".incoming").exists() {
            assert!(Instant::now() < end, "round {round} does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(child);
        self.check(&ldb, round);
    }

    /// What plain clients find, and what the control page leads to, are the ledger up to their positions.
    fn check(&self, ldb: &Path, round: u32) {
        let Ok(ctl) = std::fs::read(ldb.join("ctl")) else { return };
        let told = u64::from_le_bytes(ctl[16..24].try_into().unwrap());
        if told == 0 {
            return;
        }
        for folder in [ldb.join("current"), ldb.join(format!("gen-{told}"))] {
            let file = content::open(&folder);
            let position = reader::meta::position(&file).unwrap();
            let seq = position.map_or(0, |position| position.seq.get());
            let want = Naive::new().replay(&self.ledger.entries, seq);
            assert!(content::of(&file) == want, "round {round}: not the ledger up to {seq}");
        }
    }
}

fn is_at(ldb: &Path, served: &Option<PathBuf>, step: Step) -> bool {
    let current = std::fs::read_link(ldb.join("current")).ok();
    let first = Some(PathBuf::from("gen-1"));
    let moved = current.is_some() && current != *served && (served.is_some() || current != first);
    match step {
        Step::Download => ldb.join(".incoming/incoming.db").exists(),
        Step::Draft => !moved && drafts(ldb) > 1,
        Step::Linked => moved,
        Step::Random => false,
    }
}

fn drafts(ldb: &Path) -> usize {
    let entries = std::fs::read_dir(ldb).into_iter().flatten();
    entries
        .filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("gen-"))
        })
        .count()
}

fn is_done(ldb: &Path, head: u64) -> bool {
    std::fs::read(ldb.join("ctl")).is_ok_and(|ctl| {
        ctl.get(24..32).is_some_and(|word| u64::from_le_bytes(word.try_into().unwrap()) >= head)
    })
}

struct Running(Child);

impl Running {
    fn start(dir: &Path) -> Self {
        // By this name it is there even after another build took its place.
        let child = Command::new("/proc/self/exe")
            .args(["--exact", "kill::kill_minus_nine_while_loading_and_switching"])
            .env(CHILD, dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn child(dir: &Path) {
    let store = std::fs::read_to_string(dir.join("store")).unwrap();
    let ctldb = CtlDbUrl::Sqlite(dir.join("ctldb.sqlite"));
    let mut config = config(&dir.join("ldb"), ctldb);
    (config.read_bind, config.admin_bind) = (None, None);
    config.snapshot = SnapshotArgs::never(Location::File(store.into()));
    config.bootstrap.rebuild_share = 100;
    ::agent::run::run(config, CancellationToken::new(), |_| ()).await.unwrap();
}
