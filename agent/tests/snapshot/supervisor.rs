//! When an agent uploads, what it uploads, and what it says when it does not.

use std::time::Duration;

use agent::snapshot::{Catalog, Pointer, read_original};
use ledger::History;
use ledger::snapshot::{Manifest, Method};
use tempfile::TempDir;

use crate::ldbs::download;
use crate::ledger_file::{Ledger, TABLE, upsert};
use crate::stores::{folder, key, open, server};
use crate::uploader::{Plan, SOON, Uploader, filled, rows};

/// Of the ledgers that tests write.
pub(crate) fn catalog(url: &str) -> Catalog {
    let history = "0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11".parse::<History>().unwrap();
    Catalog::new(open(url), history)
}

pub(crate) async fn newest(catalog: &Catalog) -> Manifest {
    match catalog.pointer().await.unwrap() {
        Pointer::At(manifest, _) => *manifest,
        other => panic!("{other:?}"),
    }
}

/// An agent that uploads to a folder, and what it needs.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) ledger: Ledger,
    pub(crate) plan: Plan,
}

impl Site {
    pub(crate) fn new(url: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let mut ledger = Ledger::new(dir.path());
        ledger.append(&[TABLE]);
        let plan = Plan::new(&dir.path().join("ldb"), &ledger, url);
        Self { dir, ledger, plan }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_lead_to_a_snapshot_and_heartbeats_do_not() {
    let (_store, place) = folder();
    let url = format!("file://{}", place.path().display());
    let mut site = Site::new(&url);
    site.ledger.append(&[
        "CREATE TABLE ctlstore___heartbeats (\"name\" VARCHAR(191), \"value\" INTEGER, PRIMARY KEY(\"name\"));",
    ]);
    let agent = Uploader::start(&site.plan);
    agent.publishes(2).await;
    let catalog = catalog(&url);
    for n in 0..20 {
        let beat = format!(
            "REPLACE INTO ctlstore___heartbeats (\"name\",\"value\") VALUES('heartbeat',{n})"
        );
        site.ledger.append(&[beat]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(agent.ends("waiting").await.contains("heartbeats aside"));
    let before = newest(&catalog).await;
    // The first one may have begun in the middle of them; the last ones did not count.
    assert!(before.position.seq.get() < site.ledger.head());
    site.ledger.append(&[upsert("a", 1)]);
    agent.publishes(site.ledger.head()).await;
    let after = newest(&catalog).await;
    assert_eq!((after.position.chain, after.method), (site.ledger.chain, Method::Copy));
    let metrics = agent.metrics().await;
    assert!(metrics.contains("ctlstore_agent_snapshots_total{outcome=\"published\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_entries_than_asked_for_wait() {
    let (_store, place) = folder();
    let url = format!("file://{}", place.path().display());
    let mut site = Site::new(&url);
    site.plan.min_entries = 5;
    let agent = Uploader::start(&site.plan);
    agent.publishes(1).await;
    for n in 0..4 {
        site.ledger.append(&[upsert("a", n)]);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(agent.ends("waiting").await.contains("--snapshot-min-entries"));
    assert_eq!(newest(&catalog(&url)).await.position.seq.get(), 1);
    site.ledger.append(&[upsert("a", 5)]);
    agent.publishes(6).await;
}

/// Bounded memory, whatever the size and however little it can be compressed; only what changed is sent again; free pages
/// are left out when they are many.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_takes_little_memory_and_only_what_changed_is_uploaded() {
    // More than may be in memory.
    const MIB: u64 = 72;
    let bucket = server().create_bucket().unwrap();
    let url = server().url(&bucket, server().addr()).unwrap();
    let dir = TempDir::new().unwrap();
    let mut ledger = filled(dir.path(), MIB);
    let plan = Plan { interval_ms: 500, ..Plan::new(&dir.path().join("ldb"), &ledger, &url) };
    let agent = Uploader::start(&plan);
    agent.publishes(ledger.head()).await;
    drop(agent);
    // A process that did not replay and has nothing to upload: what it takes beyond that is the snapshot's.
    let agent = Uploader::start(&plan);
    agent.ends("waiting").await;
    let before = agent.resident_kib();
    // Everything anew.
    let whole = wiped(&url).await;
    ledger.append(&rows(1..2, 1000));
    agent.publishes(ledger.head()).await;
    let (peak, uploaded) = (agent.peak_kib(), uploaded(&agent).await);
    println!(
        "{whole} parts of incompressible data, {uploaded} bytes: {} MiB before, {} MiB at most",
        before / 1024,
        peak / 1024
    );
    assert!(uploaded > MIB * 1_000_000, "{uploaded}");
    assert!(peak - before < 64 << 10, "{before} KiB grew to {peak} KiB");
    // One row in a hundred, in the order of the key.
    ledger.append(&rows(20_000..20_000 + MIB * 10, 1000));
    agent.publishes(ledger.head()).await;
    let changed = self::uploaded(&agent).await;
    println!("the whole: {uploaded} bytes, after 1 % of the rows changed: {changed} bytes");
    assert!(changed * 2 < uploaded, "{changed} of {uploaded}");
    ledger.append(&["DELETE FROM fam___tbl".to_owned()]);
    ledger.append(&rows(0..1000, 1000));
    agent.publishes(ledger.head()).await;
    let catalog = catalog(&url);
    let manifest = newest(&catalog).await;
    assert_eq!(manifest.method, Method::Vacuum);
    assert!(manifest.files[0].bytes < 4 << 20, "{} bytes", manifest.files[0].bytes);
    assert_eq!(manifest.tables[0].rows, 1000);
    download(&TempDir::new().unwrap()).fetch(&catalog, &manifest).await.unwrap();
    assert!(!plan.ldb_dir.join(".snapshot").exists());
}

/// Removes all snapshots, so that the next one is uploaded as a whole; how many parts there were.
async fn wiped(url: &str) -> usize {
    let catalog = catalog(url);
    let parts = catalog.parts().await.unwrap();
    let pointer = ledger::snapshot::Object::Pointer.key(catalog.history);
    catalog.store.delete(&pointer).await.unwrap();
    for stored in catalog.manifests().await.unwrap() {
        let name = ledger::snapshot::Object::Manifest(stored.seq, stored.digest);
        catalog.store.delete(&name.key(catalog.history)).await.unwrap();
    }
    for (part, _) in &parts {
        let name = ledger::snapshot::Object::Part(part.digest);
        catalog.store.delete(&name.key(catalog.history)).await.unwrap();
    }
    parts.len()
}

async fn uploaded(agent: &Uploader) -> u64 {
    agent.status().await["uploaded_bytes"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_originals_layout_is_written_beside_ours() {
    let (_store, place) = folder();
    let bucket = server().create_bucket().unwrap();
    let own = server().url(&bucket, server().addr()).unwrap();
    let compat = own.replace("/test?", "/prod/ldb.db.gz?");
    let mut site = Site::new(&format!("file://{}", place.path().display()));
    site.plan.compat = Some(compat);
    site.ledger.append(&[upsert("a", 1)]);
    let agent = Uploader::start(&site.plan);
    agent.publishes(2).await;
    let store = open(&own.replace("/test?", "/?"));
    let stat = testkit::eventually(SOON, async || Ok(store.head(&key("prod/ldb.db.gz")).await?));
    assert!(stat.await.unwrap().checksum.is_some());
    let work = TempDir::new().unwrap();
    let file = read_original(&*store, &key("prod/ldb.db.gz"), work.path()).await.unwrap();
    let contents = agent::snapshot::contents::read(&file).unwrap();
    assert_eq!(contents.position.unwrap().chain, site.ledger.chain);
}

/// What stands in the way is said, and ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stand_still_put_a_snapshot_off() {
    let (_store, place) = folder();
    let url = format!("file://{}", place.path().display());
    let mut site = Site::new(&url);
    let agent = Uploader::start(&site.plan);
    agent.publishes(1).await;
    let reader = rusqlite::Connection::open(site.plan.ldb_dir.join("ldb.db")).unwrap();
    site.ledger.append(&[upsert("a", 1)]);
    let applied = reader::Ldb::open(&site.plan.ldb_dir).unwrap();
    let seen = testkit::eventually(SOON, async || {
        reader.execute_batch("BEGIN; SELECT count(*) FROM fam___tbl")?;
        let published = newest(&catalog(&url)).await.position.seq.get();
        let behind = applied.seq()?.get() > published;
        if !behind {
            reader.execute_batch("COMMIT")?;
            site.ledger.append(&[upsert("a", 2)]);
        }
        anyhow::ensure!(behind, "all is published");
        Ok(())
    });
    seen.await.unwrap();
    // An entry after the reader's: its transaction keeps the WAL.
    site.ledger.append(&[upsert("a", 3)]);
    let message = agent.ends("skipped").await;
    assert!(message.contains("keep read transactions"), "{message}");
    reader.execute_batch("COMMIT").unwrap();
    agent.publishes(site.ledger.head()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_in_the_ledger_is_not_published() {
    let (_store, place) = folder();
    let url = format!("file://{}", place.path().display());
    let mut site = Site::new(&url);
    site.ledger.append(&[upsert("a", 1)]);
    let backup = site.ledger.copy(site.dir.path());
    let agent = Uploader::start(&site.plan);
    agent.publishes(2).await;
    // The ledger loses its tail, as after a restore.
    let mut restored = backup;
    site.ledger.append(&[upsert("a", 2)]);
    agent.publishes(3).await;
    site.ledger.fail_over_to(&mut restored);
    let message = testkit::eventually(SOON, async || {
        let message = agent.ends("waiting").await;
        anyhow::ensure!(message.contains("may not be in the ledger"), "{message}");
        Ok(message)
    });
    println!("{}", message.await.unwrap());
}

#[test]
fn who_is_to_be_elected_needs_kubernetes() {
    let dir = TempDir::new().unwrap();
    let ledger = Ledger::new(dir.path());
    let mut config = Plan::new(&dir.path().join("ldb"), &ledger, "file:///tmp").config();
    config.snapshot.snapshot_upload = agent::args::Uploader::Elected;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let error = runtime.block_on(agent::run::run(config, stop, |_| ())).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("always") && text.contains("never"), "{text}");
}
