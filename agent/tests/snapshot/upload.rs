//! Taking a snapshot to a store.

use std::path::Path;

use agent::snapshot::{Catalog, Outcome, Pointer, SnapshotError, collect};
use ledger::snapshot::{Manifest, Object, Refused, Retention};
use ledger::{History, Seq};
use store::Condition;
use tempfile::TempDir;
use testkit::s3::{Asked, Fault};

use crate::ldbs::{Node, chain, download};
use crate::stores::{behind_proxy, bucket, folder, open, server};

async fn newest(catalog: &Catalog) -> Option<Seq> {
    match catalog.pointer().await.unwrap() {
        Pointer::At(manifest, _) => Some(manifest.position.seq),
        Pointer::Absent => None,
        Pointer::Damaged(error, _) => panic!("{error}"),
    }
}

/// Whatever the pointer names is there, and is a good copy.
pub(crate) async fn check_store(catalog: &Catalog) {
    let dir = TempDir::new().unwrap();
    let Pointer::At(manifest, _) = catalog.pointer().await.unwrap() else { return };
    download(&dir).fetch(catalog, &manifest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_is_uploaded_again() {
    let (folder, _dir) = folder();
    for store in [bucket(), folder] {
        let catalog = Catalog::new(store, History::Legacy);
        let mut node = Node::new(10_000);
        let first = node.publish(&catalog).await.unwrap();
        assert!(matches!(first.outcome, Outcome::Newest(_)), "{first:?}");
        assert!(first.parts > 30 && first.parts_uploaded == first.parts, "{first:?}");
        // One row in a hundred, in key order.
        node.step(5_000..5_100);
        let second = node.publish(&catalog).await.unwrap();
        assert!((1..6).contains(&second.parts_uploaded), "{second:?}");
        assert!(second.bytes_uploaded * 5 < first.bytes_uploaded, "{second:?}");
        println!(
            "first {} bytes, after 1 % changed {} bytes",
            first.bytes_uploaded, second.bytes_uploaded
        );
        check_store(&catalog).await;
        // Nothing new: nothing is done.
        let again = node.publish(&catalog).await.unwrap();
        let same = Outcome::Superseded(Refused::Same { seq: Seq::new(2).unwrap() });
        assert_eq!((again.outcome, again.parts_uploaded), (same, 0));
        assert_eq!(catalog.manifests().await.unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pointer_never_goes_back() {
    let catalog = Catalog::new(bucket(), History::Legacy);
    let mut node = Node::new(100);
    let old = node.frozen();
    let copy = node.dir.path().join("old.db");
    std::fs::copy(&old.path, &copy).unwrap();
    node.step(1..2);
    node.publish(&catalog).await.unwrap();
    let old = agent::snapshot::Frozen { path: copy, ..old };
    let done = crate::ldbs::UPLOAD.publish(&catalog, &old).await.unwrap();
    assert!(matches!(done.outcome, Outcome::Superseded(Refused::Behind { .. })), "{done:?}");
    assert_eq!(newest(&catalog).await, Seq::new(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_it_is_said_to_be_is_not_published() {
    let catalog = Catalog::new(bucket(), History::Legacy);
    let mut node = Node::new(100);
    let mut wrong = node.frozen();
    node.step(1..2);
    let check = async |frozen, want: &str| {
        let error = crate::ldbs::UPLOAD.publish(&catalog, &frozen).await.unwrap_err();
        assert!(chain(&error).contains(want), "{}", chain(&error));
        assert_eq!(newest(&catalog).await, None);
    };
    check(wrong.clone(), "does not stand at entry 1").await;
    wrong.path = node.dir.path().join("garbage");
    std::fs::write(&wrong.path, b"garbage").unwrap();
    check(wrong, "cannot read").await;
    node.open().execute("CREATE VIEW fam___evil AS SELECT 1", []).unwrap();
    node.step(1..2);
    check(node.frozen(), "it has the view").await;
}

/// Each request of an upload fails once, in each way: the pointer never names what is not there, and the next try heals.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_step_does_no_harm() {
    let (store, proxy, _) = behind_proxy();
    let catalog = Catalog::new(store, History::Legacy);
    let mut node = Node::new(300);
    node.publish(&catalog).await.unwrap();
    drop(proxy.asked());
    node.step(1..300);
    node.publish(&catalog).await.unwrap();
    let steps = proxy.asked().len();
    assert!(steps > 6, "{steps}");
    let mut failures = 0;
    for fault in [
        Fault::Answer(403, "AccessDenied"),
        Fault::Answer(404, "NoSuchBucket"),
        Fault::Answer(412, "PreconditionFailed"),
        Fault::Answer(409, "ConditionalRequestConflict"),
        Fault::Answer(503, "SlowDown"),
        Fault::LoseAnswer,
        Fault::Flip(20),
        Fault::Shorten(1),
        Fault::Cut(3),
    ] {
        for step in 0..steps {
            node.step(1..300);
            let count = std::sync::atomic::AtomicUsize::new(0);
            let next = move || count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let puts = |asked: &Asked| asked.method == "PUT";
            proxy.break_by(move |asked| {
                let only_puts = matches!(fault, Fault::Answer(409 | 412, _));
                (next() == step && (!only_puts || puts(asked))).then_some(fault)
            });
            failures += usize::from(node.publish(&catalog).await.is_err());
            proxy.heal();
            let published = node.publish(&catalog).await;
            assert!(published.is_ok(), "{fault:?} at {step}: {}", chain(&published.unwrap_err()));
            assert_eq!(newest(&catalog).await, Some(node.position().seq), "{fault:?} at {step}");
        }
        check_store(&catalog).await;
    }
    assert!(failures > 10, "the faults did nothing: {failures}");
}

/// The program ends after any request, whether it was done or not.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_may_end_anywhere() {
    let (store, proxy, _) = behind_proxy();
    let catalog = Catalog::new(store, History::Legacy);
    let mut node = Node::new(300);
    for step in 0..12 {
        node.step(1..300);
        let (gone, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let count = std::sync::atomic::AtomicUsize::new(0);
        proxy.break_by(move |_| {
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == step {
                gone.send(()).unwrap();
                return Some(Fault::LoseAnswer);
            }
            None
        });
        tokio::select! {
            biased;
            _ = ended.recv() => {}
            done = node.publish(&catalog) => drop(done),
        }
        proxy.heal();
        check_store(&catalog).await;
    }
    node.publish(&catalog).await.unwrap();
    assert_eq!(newest(&catalog).await, Some(node.position().seq));
    check_store(&catalog).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pointer_is_replaced_and_one_of_the_future_is_not() {
    let store = bucket();
    let catalog = Catalog::new(store.clone(), History::Legacy);
    let mut node = Node::new(100);
    node.publish(&catalog).await.unwrap();
    let old = node.frozen();
    let key = Object::Pointer.key(History::Legacy);
    store.put(&key, b"{".to_vec(), Condition::Always).await.unwrap();
    // It said 1; what it says now must not be lower.
    let again = crate::ldbs::UPLOAD.publish(&catalog, &old).await.unwrap();
    assert!(matches!(again.outcome, Outcome::Superseded(Refused::Same { .. })), "{again:?}");
    node.step(1..2);
    node.publish(&catalog).await.unwrap();
    assert_eq!(newest(&catalog).await, Seq::new(2));
    let found = store.get(&key, 1 << 20).await.unwrap();
    let mut manifest = Manifest::read(&found.bytes, History::Legacy).unwrap();
    (manifest.format, manifest.min_compatible) = (7, 7);
    store.put(&key, manifest.to_json(), Condition::Always).await.unwrap();
    node.step(1..2);
    let error = node.publish(&catalog).await.unwrap_err();
    assert!(chain(&error).contains("future format 7"), "{}", chain(&error));
    assert!(matches!(error, SnapshotError::Pointer { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_young_is_collected() {
    let catalog = Catalog::new(bucket(), History::Legacy);
    let mut node = Node::new(1000);
    for _ in 0..4 {
        node.publish(&catalog).await.unwrap();
        node.step(1..1000);
    }
    let retention = Retention { count: 1, age: std::time::Duration::ZERO };
    let gone = collect(&catalog, retention).await.unwrap();
    assert_eq!((gone.manifests, gone.parts), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_and_unnamed_is_collected_and_all_that_stays_is_whole() {
    let (store, dir) = folder();
    let catalog = Catalog::new(store, History::Legacy);
    let mut node = Node::new(1000);
    for _ in 0..4 {
        node.publish(&catalog).await.unwrap();
        node.step(1..1000);
    }
    // Three days later.
    let mut folders = vec![dir.path().join("snapshots")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => age(&entry.path()),
            }
        }
    }
    let before = catalog.parts().await.unwrap().len();
    let retention = Retention { count: 2, age: std::time::Duration::from_secs(24 * 3600) };
    // By the store's clock nothing happened since: ours may be three days ahead.
    assert_eq!(collect(&catalog, retention).await.unwrap(), agent::snapshot::Collected::default());
    node.publish(&catalog).await.unwrap();
    node.step(1..1000);
    let before = before.max(catalog.parts().await.unwrap().len());
    let gone = collect(&catalog, retention).await.unwrap();
    assert_eq!(gone.manifests, 3);
    assert!(gone.parts > 0 && catalog.parts().await.unwrap().len() == before - gone.parts);
    for stored in catalog.manifests().await.unwrap() {
        let manifest = catalog.manifest(stored.seq, stored.digest).await.unwrap();
        download(&TempDir::new().unwrap()).fetch(&catalog, &manifest).await.unwrap();
    }
    check_store(&catalog).await;
    // What was collected is uploaded again when it is needed.
    node.publish(&catalog).await.unwrap();
    check_store(&catalog).await;
}

/// Somebody removes a part of the newest snapshot, such as a lifecycle rule: the next one is whole, though its piece did not
/// change.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_gone_is_uploaded_again() {
    let (folder, _dir) = folder();
    for store in [bucket(), folder] {
        let catalog = Catalog::new(store, History::Legacy);
        let mut node = Node::new(1000);
        node.publish(&catalog).await.unwrap();
        let Pointer::At(first, _) = catalog.pointer().await.unwrap() else { panic!("no pointer") };
        // Not the first pages, which change each time.
        let gone = first.parts().last().unwrap().digest;
        catalog.store.delete(&Object::Part(gone).key(catalog.history)).await.unwrap();
        node.step(1..2);
        let second = node.publish(&catalog).await.unwrap();
        let Outcome::Newest(manifest) = second.outcome else { panic!("{second:?}") };
        assert!(manifest.parts().any(|part| part.digest == gone), "the piece changed");
        assert!(second.parts_uploaded < second.parts, "{} parts", second.parts_uploaded);
        check_store(&catalog).await;
    }
}

/// Parts that nobody names are old enough to go. After the collector's look and before its removal another process uploads
/// one of them again, to name it.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_uploaded_again_meanwhile_is_not_collected() {
    let (store, proxy, bucket) = behind_proxy();
    let catalog = Catalog::new(store, History::Legacy);
    let direct = open(&server().url(&bucket, server().addr()).unwrap());
    let node = Node::new(100);
    let part = |n| Object::Part(ledger::snapshot::PartDigest::of(&[n])).key(catalog.history);
    let (again, orphan) = (part(1), part(2));
    let path = |key: &ledger::snapshot::ObjectKey| {
        server().folder(&bucket).join("test").join(key.as_str())
    };
    for key in [&again, &orphan] {
        direct.put(key, vec![1], Condition::Always).await.unwrap();
        age(&path(key));
    }
    node.publish(&catalog).await.unwrap();
    let (file, seen) = (path(&again), std::sync::Once::new());
    proxy.break_by(move |asked| {
        // It has listed the parts by now.
        if asked.path.contains("latest.json") {
            seen.call_once(|| touch(&file, std::time::SystemTime::now()));
        }
        None
    });
    let retention = Retention { count: 1, age: std::time::Duration::ZERO };
    assert_eq!(collect(&catalog, retention).await.unwrap().parts, 1);
    direct.head(&again).await.unwrap();
    assert!(direct.head(&orphan).await.unwrap_err().is_not_found());
}

/// As if it had been written three days ago.
fn age(path: &Path) {
    touch(path, std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 24 * 3600));
}

fn touch(path: &Path, at: std::time::SystemTime) {
    std::fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

/// On average over a part: the last one is waited for, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_takes_no_more_of_the_network_than_it_may() {
    let catalog = Catalog::new(bucket(), History::Legacy);
    let node = Node::new(10_000);
    let rate = agent::snapshot::Rate { bytes_per_second: Some(1_000_000) };
    let start = std::time::Instant::now();
    let upload = agent::snapshot::Upload { rate, ..crate::ldbs::UPLOAD };
    let done = upload.publish(&catalog, &node.frozen()).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let bytes = f64::from(u32::try_from(done.bytes_uploaded).unwrap());
    println!("{bytes} bytes in {seconds:.2} s");
    assert!(bytes > 1_500_000.0, "{bytes}");
    assert!(bytes / seconds <= 1_010_000.0, "{bytes} bytes in {seconds} s");
}
