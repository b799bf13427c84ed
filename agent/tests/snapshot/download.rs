//! Getting a snapshot back, from stores that do their worst.

use agent::snapshot::{Catalog, Pointer, SnapshotError};
use ledger::History;
use ledger::snapshot::{Manifest, Object};
use store::Condition;
use tempfile::TempDir;
use testkit::s3::Fault;

use crate::ldbs::{Node, chain, download};
use crate::stores::{behind_proxy, bucket, folder, server};

async fn pointer(catalog: &Catalog) -> Manifest {
    match catalog.pointer().await.unwrap() {
        Pointer::At(manifest, _) => *manifest,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_comes_back_as_it_was() {
    let (folder, _dir) = folder();
    for store in [bucket(), folder] {
        let catalog = Catalog::new(store, History::Legacy);
        let node = Node::new(10_000);
        node.publish(&catalog).await.unwrap();
        let dir = TempDir::new().unwrap();
        let download = download(&dir);
        let (file, manifest) = download.newest(&catalog, |_| true).await.unwrap();
        assert!(node.is_same(&file));
        assert_eq!(manifest.position, node.position());
        assert_eq!((manifest.tables.len(), manifest.tables[0].rows), (1, 10_000));
        let (total, done) = download.progress.get();
        assert!(total > 0 && total == done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_snapshot_is_said_so() {
    let (catalog, dir) = (Catalog::new(bucket(), History::Legacy), TempDir::new().unwrap());
    let error = download(&dir).newest(&catalog, |_| true).await.unwrap_err();
    assert!(matches!(error, SnapshotError::None), "{error}");
    Node::new(10).publish(&catalog).await.unwrap();
    let error = download(&dir).newest(&catalog, |_| false).await.unwrap_err();
    assert!(matches!(error, SnapshotError::None), "{error}");
}

/// What is in the file is not asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_it_ended() {
    let (store, proxy, _) = behind_proxy();
    let catalog = Catalog::new(store, History::Legacy);
    let mut node = Node::new(10_000);
    let parts = node.publish(&catalog).await.unwrap().parts;
    let dir = TempDir::new().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    proxy.break_by(move |asked| {
        let part = asked.path.contains("/parts/");
        let late = part && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 10;
        late.then_some(Fault::Answer(403, "AccessDenied"))
    });
    let error = download(&dir).newest(&catalog, |_| true).await.unwrap_err();
    assert!(chain(&error).contains("access denied"), "{}", chain(&error));
    proxy.heal();
    drop(proxy.asked());
    download(&dir).newest(&catalog, |_| true).await.unwrap();
    let asked = proxy.asked().iter().filter(|asked| asked.path.contains("/parts/")).count();
    assert!(asked < parts - 5, "{asked} of {parts}");
    // The next snapshot shares most pieces.
    node.step(1..2);
    node.publish(&catalog).await.unwrap();
    drop(proxy.asked());
    let (file, _) = download(&dir).newest(&catalog, |_| true).await.unwrap();
    let asked = proxy.asked().iter().filter(|asked| asked.path.contains("/parts/")).count();
    assert!(asked <= 3 && node.is_same(&file), "{asked}");
}

/// Each request of a download goes wrong once, in each way: what comes is right, or an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_step_gives_the_right_file_or_none() {
    let (store, proxy, _) = behind_proxy();
    let catalog = Catalog::new(store, History::Legacy);
    let node = Node::new(300);
    node.publish(&catalog).await.unwrap();
    drop(proxy.asked());
    download(&TempDir::new().unwrap()).newest(&catalog, |_| true).await.unwrap();
    let steps = proxy.asked().len();
    for fault in [
        Fault::Answer(403, "AccessDenied"),
        Fault::Answer(404, "NoSuchBucket"),
        Fault::Answer(404, "NoSuchKey"),
        Fault::Answer(503, "SlowDown"),
        Fault::LoseAnswer,
        Fault::Flip(0),
        Fault::Flip(30),
        Fault::Shorten(5),
        Fault::Cut(5),
        Fault::Slow(20_000),
    ] {
        for step in 0..steps {
            let dir = TempDir::new().unwrap();
            let count = std::sync::atomic::AtomicUsize::new(0);
            proxy.break_by(move |_| {
                let now = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == step;
                now.then_some(fault)
            });
            match download(&dir).newest(&catalog, |_| true).await {
                Ok((file, _)) => assert!(node.is_same(&file), "{fault:?} at {step}"),
                Err(error) => {
                    let passes =
                        matches!(fault, Fault::Answer(503, _) | Fault::LoseAnswer | Fault::Slow(_));
                    assert!(!passes, "{fault:?} at {step}: {}", chain(&error));
                }
            }
            proxy.heal();
            let (file, _) = download(&dir).newest(&catalog, |_| true).await.unwrap();
            assert!(node.is_same(&file), "healed, {fault:?} at {step}");
        }
    }
}

/// Damage that stays: the older snapshot is taken, and the newer one is named with what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_copy_is_passed_over_for_an_older_one() {
    let store = bucket();
    let catalog = Catalog::new(store.clone(), History::Legacy);
    let mut node = Node::new(1000);
    node.publish(&catalog).await.unwrap();
    let old = node.dir.path().join("old.db");
    std::fs::copy(node.file(), &old).unwrap();
    node.step(1..1000);
    node.publish(&catalog).await.unwrap();
    let newest = pointer(&catalog).await;
    let keys: Vec<_> =
        newest.parts().map(|part| Object::Part(part.digest).key(History::Legacy)).collect();
    let body = store.get(&keys[1], 1 << 20).await.unwrap().bytes;
    let other = store.get(&keys[2], 1 << 20).await.unwrap().bytes;
    let mut flipped = body.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (what, damage) in [
        ("truncated", Some(body[..body.len() / 2].to_vec())),
        ("flipped", Some(flipped)),
        ("swapped", Some(other)),
        ("empty", Some(Vec::new())),
        ("gone", None),
    ] {
        match damage {
            Some(bytes) => store.put(&keys[1], bytes, Condition::Always).await.unwrap(),
            None => store.delete(&keys[1]).await.unwrap(),
        }
        let dir = TempDir::new().unwrap();
        let (file, manifest) = download(&dir).newest(&catalog, |_| true).await.unwrap();
        assert_eq!(manifest.position.seq.get(), 1, "{what}");
        assert!(std::fs::read(&file).unwrap() == std::fs::read(&old).unwrap(), "{what}");
        let error = download(&dir).fetch(&catalog, &newest).await.unwrap_err();
        assert!(error.is_bad_copy(), "{what}: {}", chain(&error));
        let only_new = |position: &ledger::Position| position.seq.get() == 2;
        let error = download(&dir).newest(&catalog, only_new).await.unwrap_err();
        assert!(matches!(error, SnapshotError::NoneUsable { .. }), "{what}: {error}");
        assert!(error.to_string().contains("part "), "{what}: {error}");
    }
    store.put(&keys[1], body, Condition::Always).await.unwrap();
    let dir = TempDir::new().unwrap();
    let (file, _) = download(&dir).newest(&catalog, |_| true).await.unwrap();
    assert!(node.is_same(&file));
}

/// Manifests that lie, under names that do not.
#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_lie_are_refused_by_name() {
    let store = bucket();
    let catalog = Catalog::new(store.clone(), History::Legacy);
    let mut node = Node::new(1000);
    node.publish(&catalog).await.unwrap();
    node.step(1..2);
    node.publish(&catalog).await.unwrap();
    let good = pointer(&catalog).await;
    let check = async |want: &str, change: &dyn Fn(&mut Manifest)| {
        let mut lie = good.clone();
        change(&mut lie);
        for key in [good.key(), Object::Pointer.key(History::Legacy)] {
            store.put(&key, lie.to_json(), Condition::Always).await.unwrap();
        }
        let only_new = |position: &ledger::Position| position.seq.get() == 2;
        let error =
            download(&TempDir::new().unwrap()).newest(&catalog, only_new).await.unwrap_err();
        assert!(chain(&error).contains(want), "{}", chain(&error));
        // The one before it is as good as it was.
        let older = |position: &ledger::Position| position.seq.get() == 1;
        download(&TempDir::new().unwrap()).newest(&catalog, older).await.unwrap();
    };
    check("future format 9", &|lie| (lie.format, lie.min_compatible) = (9, 9)).await;
    check("foreign history", &|lie| {
        lie.position.history = "00000000-0000-0000-0000-000000000001".parse().unwrap();
    })
    .await;
    check("contradicts itself", &|lie| lie.files[0].parts.swap(0, 1)).await;
    check("stands at another entry", &|lie| lie.position.chain = ledger::Chain::GENESIS).await;
    check("is not that of its manifest", &|lie| lie.tables.clear()).await;
    // A whole other snapshot under the newest one's name.
    let error = {
        let old = catalog.manifests().await.unwrap().pop().unwrap();
        let old = catalog.manifest(old.seq, old.digest).await.unwrap();
        store.put(&good.key(), old.to_json(), Condition::Always).await.unwrap();
        catalog.manifest(good.position.seq, good.position.digest).await.unwrap_err()
    };
    assert!(chain(&error).contains("it was swapped"), "{}", chain(&error));
}

/// Collected under our feet: the pointer is read again.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_goes_while_we_download_leads_to_the_newer_snapshot() {
    let (store, proxy, bucket) = behind_proxy();
    let direct = crate::stores::open(&server().url(&bucket, server().addr()).unwrap());
    let (catalog, quiet) =
        (Catalog::new(store, History::Legacy), Catalog::new(direct.clone(), History::Legacy));
    let mut node = Node::new(1000);
    node.publish(&quiet).await.unwrap();
    let old = pointer(&quiet).await;
    node.step(1..1000);
    let (held, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    proxy.break_by(move |asked| {
        if asked.path.contains("/parts/") {
            held.send(()).ok();
            wait.lock().unwrap().recv().ok();
        }
        None
    });
    let dir = TempDir::new().unwrap();
    let get = download(&dir);
    let change = async {
        seen.recv().await.unwrap();
        node.publish(&quiet).await.unwrap();
        for part in old.parts() {
            direct.delete(&Object::Part(part.digest).key(History::Legacy)).await.unwrap();
        }
        direct.delete(&old.key()).await.unwrap();
        // Some of the new one's parts were the old one's.
        let new = pointer(&quiet).await;
        direct.delete(&Object::Pointer.key(History::Legacy)).await.unwrap();
        direct.delete(&new.key()).await.unwrap();
        node.publish(&quiet).await.unwrap();
        drop(go);
    };
    let (got, ()) = tokio::join!(get.newest(&catalog, |_| true), change);
    let (file, manifest) = got.unwrap();
    assert_eq!(manifest.position.seq.get(), 2);
    assert!(node.is_same(&file));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_too_small_is_said_before_anything_is_fetched() {
    let (store, proxy, _) = behind_proxy();
    let catalog = Catalog::new(store, History::Legacy);
    Node::new(10).publish(&catalog).await.unwrap();
    let mut huge = pointer(&catalog).await;
    let piece = huge.files[0].parts[0];
    let piece = ledger::snapshot::Part { bytes: huge.files[0].piece_bytes, ..piece };
    // Sixty terabytes or so.
    let parts = vec![piece; 1_000_000_000 / 64];
    huge.files[0] =
        ledger::snapshot::SnapshotFile { bytes: u64::MAX / 4, parts, ..huge.files[0].clone() };
    drop(proxy.asked());
    let error = download(&TempDir::new().unwrap()).fetch(&catalog, &huge).await.unwrap_err();
    assert!(matches!(error, SnapshotError::NoSpace { .. }), "{}", chain(&error));
    assert!(proxy.asked().is_empty());
}
