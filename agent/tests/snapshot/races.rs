//! Several uploaders at once, one of them frozen for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent::snapshot::{Catalog, Pointer};
use futures::future::join;
use ledger::{History, Seq};
use testkit::s3::Fault;

use crate::ldbs::Node;
use crate::stores::{behind_proxy, folder, open, server};
use crate::upload::check_store;

/// Watches the pointer until told to stop: it never falls.
async fn watch(catalog: &Catalog, stop: &AtomicBool) -> usize {
    let (mut last, mut moves) = (Seq::ZERO, 0);
    while !stop.load(Ordering::Relaxed) {
        if let Pointer::At(manifest, _) = catalog.pointer().await.unwrap() {
            let seq = manifest.position.seq;
            assert!(seq >= last, "{last} fell to {seq}");
            moves += usize::from(seq > last);
            last = seq;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    moves
}

async fn race(one: Catalog, other: Catalog) {
    let stop = Arc::new(AtomicBool::new(false));
    let upload = async |catalog: &Catalog, every: usize| {
        let mut node = Node::new(200);
        for round in 0..12 {
            // Each goes ahead of the other at times; both have the same entries.
            for _ in 0..(1 + (round + every) % 3) {
                node.step(1..50);
            }
            node.publish(catalog).await.unwrap();
        }
    };
    let both = async {
        join(upload(&one, 0), upload(&other, 1)).await;
        stop.store(true, Ordering::Relaxed);
    };
    // Not through answers that get lost: waiting for them, it would miss moves.
    let (moves, ()) = join(watch(&other, &stop), both).await;
    assert!(moves > 3, "{moves}");
    check_store(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_uploaders_on_s3_are_harmless() {
    let (store, proxy, bucket) = behind_proxy();
    let direct = open(&server().url(&bucket, server().addr()).unwrap());
    // One of them has bad luck with its answers.
    let count = std::sync::atomic::AtomicUsize::new(0);
    proxy.break_by(move |_| {
        (count.fetch_add(1, Ordering::SeqCst) % 11 == 10).then_some(Fault::LoseAnswer)
    });
    race(Catalog::new(store, History::Legacy), Catalog::new(direct, History::Legacy)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_uploaders_on_a_folder_are_harmless() {
    let (store, dir) = folder();
    let other = open(&format!("file://{}", dir.path().display()));
    race(Catalog::new(store, History::Legacy), Catalog::new(other, History::Legacy)).await;
}

/// It stops right before it moves the pointer, others publish, and it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_uploader_that_was_frozen_moves_nothing_back() {
    let (store, proxy, bucket) = behind_proxy();
    let frozen = Catalog::new(store, History::Legacy);
    let direct = open(&server().url(&bucket, server().addr()).unwrap());
    let awake = Catalog::new(direct, History::Legacy);
    let mut node = Node::new(200);
    node.publish(&awake).await.unwrap();
    node.step(1..50);
    let (held, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    proxy.break_by(move |asked| {
        if asked.method == "PUT" && asked.path.contains("latest.json") {
            held.send(()).ok();
            wait.lock().unwrap().recv().ok();
        }
        None
    });
    let copy = node.dir.path().join("copy.db");
    std::fs::copy(node.file(), &copy).unwrap();
    let late = agent::snapshot::Frozen { path: copy, ..node.frozen() };
    let others = async {
        seen.recv().await.unwrap();
        node.step(1..50);
        node.publish(&awake).await.unwrap();
        drop(go);
    };
    let (done, ()) = join(crate::ldbs::UPLOAD.publish(&frozen, &late), others).await;
    let done = done.unwrap();
    assert!(matches!(done.outcome, agent::snapshot::Outcome::Superseded(_)), "{done:?}");
    let Pointer::At(manifest, _) = awake.pointer().await.unwrap() else { panic!("no pointer") };
    assert_eq!(manifest.position.seq.get(), 3);
    check_store(&awake).await;
}
