//! `--bootstrap-url`: a node without an LDB begins with a snapshot in the original's layout.

use std::path::Path;

use ::agent::Config;
use ::agent::args::SnapshotArgs;
use ::agent::snapshot::{original_place, write_original};
use ::ledger::History;
use ::ledger::snapshot::ObjectKey;
use rusqlite::Connection;
use store::{Condition, Location, Rate, Store};
use tempfile::TempDir;

use crate::agent::{Agent, config};
use crate::begin::prune;
use crate::content;
use crate::ledger::{Ledger, TABLE, frame, upsert};
use crate::nodes::{Place, copy};

/// A ledger, a node that replays all of it, and where snapshots of the original lie.
struct Case {
    ledger: Ledger,
    full: Agent,
    place: Place,
    dir: TempDir,
}

impl Case {
    async fn new(legacy: bool) -> Self {
        let (dir, place) = (TempDir::new().unwrap(), Place::bucket());
        let mut ledger = match legacy {
            true => Ledger::legacy(dir.path()),
            false => Ledger::new(dir.path()),
        };
        ledger.append(&[TABLE]);
        for row in 0..30 {
            ledger.append(&[upsert(&format!("row {row}"), row)]);
        }
        let full = Agent::start(&dir.path().join("full"), ledger.url()).await;
        full.reaches(ledger.head()).await;
        Self { ledger, full, place, dir }
    }

    fn object(
        &self,
        name: &str,
    ) -> (Location, impl Fn() -> (std::sync::Arc<dyn Store>, ObjectKey)) {
        let mut location = self.place.location.clone();
        if let Location::S3(at) = &mut location {
            at.prefix = format!("old/{name}");
        }
        let (store, key) = original_place(&location).unwrap();
        let store = store::open(&store);
        (location, move || (store.clone(), key.clone()))
    }

    /// Writes the LDB of the full node as it stands, after a change of its file.
    async fn write(&self, name: &str, change: &str) -> Location {
        let (location, object) = self.object(name);
        let work = TempDir::new_in(self.dir.path()).unwrap();
        let file = work.path().join("copy.db");
        copy(&self.full.dir, &file);
        Connection::open(&file).unwrap().execute_batch(change).unwrap();
        let (store, key) = object();
        let rate = Rate { bytes_per_second: None };
        write_original(&*store, &key, &file, work.path(), rate).await.unwrap();
        location
    }

    fn config(&self, dir: &Path, url: &Location) -> Config {
        let mut config = config(dir, self.ledger.url());
        config.bootstrap.bootstrap_jitter = std::time::Duration::ZERO;
        config.bootstrap.bootstrap_url = Some(url.clone());
        config
    }

    async fn fresh(&self, url: &Location) -> (Agent, TempDir) {
        let dir = TempDir::new().unwrap();
        let config = self.config(&dir.path().join("ldb"), url);
        (Agent::start_with(config).await.unwrap(), dir)
    }

    /// It began with the snapshot, follows, and is as one that replayed everything.
    async fn is_as_the_full_one(&mut self, agent: &Agent, from: u64) {
        let told = agent.bootstraps("done").await;
        assert_eq!(told["from"]["seq"], from);
        self.ledger.append(&[upsert("later", 1)]);
        for agent in [agent, &self.full] {
            agent.reaches(self.ledger.head()).await;
            agent.enters("following").await;
        }
        assert_eq!(content::of_ldb(&agent.dir), content::of_ldb(&self.full.dir));
        let position = |agent: &Agent| agent.ldb().position().unwrap().unwrap();
        let (own, full) = (position(agent), position(&self.full));
        assert_eq!((own.history, own.seq, own.digest), (full.history, full.seq, full.digest));
        if own.history != History::Legacy {
            assert_eq!(own.chain, full.chain);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compat_writes_starts_a_fresh_node() {
    for (name, change) in [
        ("ldb.db.gz", ""),
        ("ldb.db", ""),
        // As an original reflector leaves it, that made it or went on from it.
        ("made.db.gz", "DROP TABLE _ldb_meta"),
        ("went-on.db.gz", "UPDATE _ldb_meta SET seq = seq - 1, digest = zeroblob(32)"),
    ] {
        let mut case = Case::new(false).await;
        let url = case.write(name, change).await;
        let head = case.ledger.head();
        case.ledger.append(&[upsert("more", 1)]);
        prune(&case.ledger, head - 1);
        let (agent, _dir) = case.fresh(&url).await;
        case.is_as_the_full_one(&agent, head).await;
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_the_original_goes_on_from_its_snapshot() {
    let mut case = Case::new(true).await;
    let url = case.write("ldb.db.gz", "DROP TABLE _ldb_meta").await;
    let head = case.ledger.head();
    case.ledger.sql(&format!("DELETE FROM ctlstore_dml_ledger WHERE seq < {head}"));
    let (agent, _dir) = case.fresh(&url).await;
    case.is_as_the_full_one(&agent, head).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_snapshots_come_first() {
    let mut case = Case::new(false).await;
    let url = case.write("ldb.db.gz", "").await;
    case.ledger.append(&[upsert("newer", 1)]);
    case.place.publish(case.ledger.url(), case.ledger.head()).await;
    let dir = TempDir::new().unwrap();
    let mut config = case.config(&dir.path().join("ldb"), &url);
    config.snapshot = SnapshotArgs::never(case.place.location.clone());
    let agent = Agent::start_with(config).await.unwrap();
    let newest = case.ledger.head();
    case.is_as_the_full_one(&agent, newest).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_one_is_refused_by_name_and_a_whole_ledger_is_replayed() {
    let mut case = Case::new(false).await;
    let head = case.ledger.head();
    let mut bad = Vec::new();
    let url = case.write("cut.db.gz", "").await;
    let (store, key) = case.object("cut.db.gz").1();
    let stored = store.get(&key, 1 << 30).await.unwrap().bytes;
    store.put(&key, stored[..stored.len() / 2].to_vec(), Condition::Always).await.unwrap();
    bad.push((url, "it is no gzip file"));
    let url = case.write("other.db", "").await;
    let (store, key) = case.object("other.db").1();
    let sum = store.head(&key).await.unwrap().checksum.unwrap();
    let mut bytes = store.get(&key, 1 << 30).await.unwrap().bytes;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let file = case.dir.path().join("other.db");
    std::fs::write(&file, &bytes).unwrap();
    let rate = Rate { bytes_per_second: None };
    store.put_file(&key, &file, &sum, rate).await.unwrap();
    bad.push((url, "its checksum is not that of its metadata"));
    let trigger = "CREATE TRIGGER evil AFTER DELETE ON fam___tbl BEGIN SELECT 1; END";
    bad.push((case.write("trigger.db.gz", trigger).await, "it has the trigger \"evil\""));
    let none = case.object("none.db.gz").0;
    bad.push((none, "not there"));
    let forked = "UPDATE _ldb_meta SET digest = zeroblob(32)";
    bad.push((case.write("forked.db.gz", forked).await, "is not that of the ledger"));
    let within = "DROP TABLE _ldb_meta; UPDATE _ldb_seq SET seq = seq + 2";
    bad.push((case.write("within.db.gz", within).await, "within a batch"));
    let ahead = "DROP TABLE _ldb_meta; UPDATE _ldb_seq SET seq = 5000";
    bad.push((case.write("ahead.db.gz", ahead).await, "the ledger ends at"));
    let old = "DROP TABLE _ldb_meta; UPDATE _ldb_seq SET seq = 3";
    bad.push((case.write("old.db.gz", old).await, "begins after entry"));
    case.ledger.append(&frame([upsert("a", 1), upsert("b", 2)]));

    // The ledger is whole: no reason to stay empty.
    for (url, says) in &bad[..4] {
        let (agent, _dir) = case.fresh(url).await;
        agent.reaches(case.ledger.head()).await;
        agent.enters("following").await;
        assert!(agent.is_ready().await, "{says}");
        agent.stop().await;
    }
    prune(&case.ledger, head - 1);
    for (url, says) in &bad {
        let (agent, _dir) = case.fresh(url).await;
        let text = agent.says(says).await;
        println!("{text}");
        assert!(text.contains("the original's snapshot s3://"), "{text}");
        assert!(!agent.is_ready().await && agent.seq().get() == 0);
        agent.stop().await;
    }
    // What was refused is loaded again when it is another one.
    let (agent, _dir) = case.fresh(&bad[0].0).await;
    agent.says(bad[0].1).await;
    case.full.reaches(case.ledger.head()).await;
    case.write("cut.db.gz", "").await;
    let newest = case.ledger.head();
    case.is_as_the_full_one(&agent, newest).await;
    agent.stop().await;
}
