//! A store that does its worst while a fresh node begins: it never serves what is wrong, says what is the matter, and has the
//! snapshot when the fault ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::ledger::snapshot::Object;
use testkit::s3::{Asked, Fault};

use crate::agent::Agent;
use crate::begin::prune;
use crate::content;
use crate::ledger::{Ledger, TABLE, upsert};
use crate::nodes::Place;

/// Only a snapshot helps: the ledger begins later.
struct Case {
    _dir: tempfile::TempDir,
    ledger: Ledger,
    place: Place,
    want: content::Content,
    nodes: u32,
}

impl Case {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(dir.path());
        ledger.append(&[TABLE]);
        let long = "x".repeat(150);
        for row in 0..150 {
            let texts: Vec<_> =
                (0..20).map(|n| upsert(&format!("{row} {n} {long}"), row)).collect();
            ledger.append(&crate::ledger::frame(texts));
        }
        let place = Place::bucket();
        place.publish(ledger.url(), ledger.head()).await;
        let through = ledger.head() - 30;
        prune(&ledger, through);
        let want = content::naive(&ledger.entries);
        Self { _dir: dir, ledger, place, want, nodes: 0 }
    }

    async fn node(&mut self) -> Agent {
        self.nodes += 1;
        let dir = self.ledger.path.with_file_name(format!("ldb{}", self.nodes));
        self.node_at(&dir).await
    }

    async fn node_at(&self, dir: &Path) -> Agent {
        Agent::start_with(self.place.config(dir, self.ledger.url())).await.unwrap()
    }

    /// It serves nothing, or the right thing.
    fn is_right(&self, agent: &Agent) {
        if agent.seq().get() == 0 {
            return;
        }
        assert!(content::of_ldb(&agent.dir) == self.want, "it serves something else");
    }

    async fn heals(&self, agent: Agent) {
        self.place.proxy().heal();
        agent.reaches(self.ledger.head()).await;
        agent.bootstraps("done").await;
        self.is_right(&agent);
        assert!(agent.is_ready().await);
        agent.stop().await;
    }
}

fn part(asked: &Asked) -> bool {
    asked.path.contains("/parts/") && asked.method == "GET"
}

fn manifest(asked: &Asked) -> bool {
    asked.method == "GET" && asked.path.contains(".json")
}

fn list(asked: &Asked) -> bool {
    asked.path.contains("list-type=2")
}

fn any(_: &Asked) -> bool {
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_at_every_stage_is_said_and_heals() {
    let mut case = Case::new().await;
    for (which, stage, fault, says) in [
        ("all", any as fn(&Asked) -> bool, Fault::Answer(403, "AccessDenied"), "access denied"),
        ("all", any, Fault::Answer(404, "NoSuchBucket"), "bucket"),
        ("all", any, Fault::Answer(503, "SlowDown"), "503"),
        ("all", any, Fault::LoseAnswer, "snapshot"),
        ("list", list, Fault::Answer(403, "AccessDenied"), "access denied"),
        ("list", list, Fault::Cut(5), "snapshot"),
        ("manifest", manifest, Fault::Flip(30), "manifest"),
        ("manifest", manifest, Fault::Shorten(5), "manifest"),
        ("manifest", manifest, Fault::Cut(5), "read"),
        ("manifest", manifest, Fault::Answer(403, "AccessDenied"), "access denied"),
        ("part", part, Fault::Answer(403, "AccessDenied"), "access denied"),
        ("part", part, Fault::Answer(404, "NoSuchKey"), "is not in the store"),
        ("part", part, Fault::Answer(503, "SlowDown"), "503"),
        ("part", part, Fault::Flip(0), "damaged"),
        ("part", part, Fault::Flip(30), "damaged"),
        ("part", part, Fault::Shorten(5), "damaged"),
        ("part", part, Fault::Cut(5), "read"),
        ("part", part, Fault::LoseAnswer, "read"),
    ] {
        case.place.proxy().break_by(move |asked| stage(asked).then_some(fault));
        let agent = case.node().await;
        let text = agent.says(says).await;
        println!("{which} {fault:?}: {text}");
        case.is_right(&agent);
        assert!(!agent.is_ready().await, "{which} {fault:?}");
        case.heals(agent).await;
    }
}

/// Nothing is wrong with slow bytes but that they take time: how far it is can be seen meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn slow_bytes_are_waited_for_and_shown() {
    let mut case = Case::new().await;
    case.place.proxy().break_by(|asked| part(asked).then_some(Fault::Slow(500)));
    let agent = case.node().await;
    let told = agent.bootstraps("downloading").await;
    assert!(told["of"].as_u64().unwrap() > 0, "{told}");
    let (status, text) = agent.readyz().await;
    assert!(status != 200 && text.contains("a snapshot is loaded"), "{text}");
    case.heals(agent).await;
}

/// A part is gone in the middle, for a newer snapshot was published and the old one collected: the pointer is read again.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_collected_meanwhile_is_followed_by_the_newer_one() {
    let mut case = Case::new().await;
    let history = "0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11".parse().unwrap();
    let pointer = Object::Pointer.key(history).to_string();
    let old: Vec<_> = case.place.files(".zst");
    let latest = case.place.files("latest.json").remove(0);
    let before = std::fs::read(&latest).unwrap();
    case.ledger.append(&[upsert("new", 1)]);
    case.want = content::naive(&case.ledger.entries);
    // The newest is a snapshot of everything: made from a node that has it.
    let (donor, file) = (case.node().await, case.ledger.path.with_file_name("donor.db"));
    donor.reaches(case.ledger.head()).await;
    donor.stop().await;
    let donor = case.ledger.path.with_file_name("ldb1");
    case.place.publish_copy(&donor, &file).await;
    let after = std::fs::read(&latest).unwrap();
    // What a reader sees that asked just before: the old pointer, and then parts that are gone.
    std::fs::write(&latest, &before).unwrap();
    let held: Vec<_> =
        old.iter().filter(|part| !String::from_utf8_lossy(&after).contains(name(part))).collect();
    assert!(!held.is_empty());
    for part in &held {
        std::fs::remove_file(part).unwrap();
    }
    let (path, count) = (latest.clone(), std::sync::atomic::AtomicUsize::new(0));
    case.place.proxy().break_by(move |asked| {
        if asked.path.contains(&pointer)
            && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1
        {
            std::fs::write(&path, &after).unwrap();
        }
        None
    });
    let agent = case.node().await;
    agent.reaches(case.ledger.head()).await;
    case.is_right(&agent);
    agent.stop().await;
}

fn name(part: &Path) -> &str {
    part.file_stem().unwrap().to_str().unwrap()
}

/// Damages all snapshots of a store.
fn damage(what: &str, manifests: &[PathBuf], parts: &[PathBuf]) {
    let edit = |change: &dyn Fn(&mut serde_json::Value)| {
        for path in manifests {
            let mut json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            change(&mut json);
            std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
        }
    };
    match what {
        "truncated" => {
            for path in parts {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        "bit-flipped" => {
            for path in parts {
                let mut bytes = std::fs::read(path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(path, bytes).unwrap();
            }
        }
        "swapped" => {
            let first = std::fs::read(&parts[0]).unwrap();
            let last = parts.last().unwrap();
            std::fs::write(&parts[0], std::fs::read(last).unwrap()).unwrap();
            std::fs::write(last, first).unwrap();
        }
        "foreign-history" => edit(&|json| {
            json["history"] = "11111111-2222-3333-4444-555555555555".into();
        }),
        "future-format" => edit(&|json| {
            json["format"] = 99.into();
            json["min_compatible"] = 99.into();
        }),
        "other rows" => edit(&|json| {
            json["tables"][0]["rows"] = 7.into();
        }),
        other => panic!("{other}"),
    }
}

/// What lies in the store is wrong, each in its way: it is refused by name, and not served.
#[tokio::test(flavor = "multi_thread")]
async fn bad_snapshots_are_refused_by_name() {
    let mut case = Case::new().await;
    let manifests = case.place.files(".json");
    let parts = case.place.files(".zst");
    let keep: Vec<_> = manifests
        .iter()
        .chain(&parts)
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    for (what, says) in [
        ("truncated", "damaged"),
        ("bit-flipped", "damaged"),
        ("swapped", "damaged"),
        ("foreign-history", "history"),
        ("future-format", "99"),
        ("other rows", "its seal is that of another text"),
    ] {
        damage(what, &manifests, &parts);
        let agent = case.node().await;
        let text = agent.says(says).await;
        println!("{what}: {text}");
        assert_eq!(agent.seq().get(), 0, "{what}");
        for (path, bytes) in &keep {
            std::fs::write(path, bytes).unwrap();
        }
        case.heals(agent).await;
    }
    // Stale: it is older than what the ledger has left.
    let through = case.ledger.head() - 1;
    case.ledger.append(&[upsert("one", 1)]);
    prune(&case.ledger, through + 2);
    let agent = case.node().await;
    agent.says(&format!("after entry {} and no snapshot", through + 2)).await;
    agent.stays(Duration::from_millis(300), |status| status["position"].is_null()).await;
    agent.stop().await;
}

/// The newest is no good: the one before it is taken, and the ledger does the rest.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_older_snapshot_is_tried() {
    let mut case = Case::new().await;
    let old = case.place.files(".zst");
    case.ledger.append(&[upsert("new", 1)]);
    case.want = content::naive(&case.ledger.entries);
    let donor = case.node().await;
    donor.reaches(case.ledger.head()).await;
    let (ldb, file) = (donor.dir.clone(), case.ledger.path.with_file_name("donor.db"));
    donor.stop().await;
    let newest = case.place.publish_copy(&ldb, &file).await;
    for part in case.place.files(".zst").iter().filter(|part| !old.contains(part)) {
        std::fs::write(part, "nothing of it").unwrap();
    }
    let agent = case.node().await;
    agent.reaches(case.ledger.head()).await;
    let told = agent.bootstraps("done").await;
    assert!(told["from"]["seq"].as_u64().unwrap() < newest.position.seq.get(), "{told}");
    case.is_right(&agent);
    agent.stop().await;
}

/// What is whole in the ledger needs no snapshot, when none is good.
#[tokio::test(flavor = "multi_thread")]
async fn with_bad_snapshots_only_a_whole_ledger_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[TABLE, &upsert("a", 1), &upsert("b", 2)]);
    let place = Place::folder();
    place.publish(ledger.url(), ledger.head()).await;
    for part in place.files(".zst") {
        std::fs::write(part, "nothing of it").unwrap();
    }
    let config = place.config(&dir.path().join("ldb"), ledger.url());
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(ledger.head()).await;
    assert_eq!(content::of_ldb(&agent.dir), content::naive(&ledger.entries));
    agent.stop().await;
}

/// A download that was interrupted goes on at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_after_a_restart() {
    let mut case = Case::new().await;
    let parts = case.place.files(".zst").len();
    let count = std::sync::atomic::AtomicUsize::new(0);
    case.place.proxy().break_by(move |asked| {
        let late = part(asked) && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 6;
        late.then_some(Fault::Answer(403, "AccessDenied"))
    });
    let agent = case.node().await;
    agent.says("access denied").await;
    agent.stop().await;
    case.place.proxy().heal();
    drop(case.place.proxy().asked());
    let dir = case.ledger.path.with_file_name("ldb1");
    let agent = case.node_at(&dir).await;
    agent.reaches(case.ledger.head()).await;
    let asked = case.place.proxy().asked().iter().filter(|asked| part(asked)).count();
    assert!(asked < parts, "{asked} of {parts} parts");
    case.is_right(&agent);
    agent.stop().await;
}
