//! Kill -9 of an uploading agent, at every step: before a request is sent on, after it was done and before the answer came,
//! and at random moments, also while the LDB is copied. What the pointer names is whole each time, and the next agent goes
//! on from what is there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use agent::snapshot::Catalog;
use testkit::s3::{Fault, Proxy};

use crate::stores::server;
use crate::supervisor::{Site, catalog, newest};
use crate::upload::check_store;
use crate::uploader::{Plan, SOON, Uploader, filled, rows};

/// An upload of a few parts has fewer requests.
const STEPS: usize = 13;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// The store never heard of the request.
    Before,
    /// It did it, and the answer came to nobody.
    After,
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_before_any_request_leaves_the_store_whole() {
    killed_at_each_request(When::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_after_any_request_leaves_the_store_whole() {
    killed_at_each_request(When::After).await;
}

async fn killed_at_each_request(when: When) {
    let proxy = Proxy::start(server().addr()).unwrap();
    let bucket = server().create_bucket().unwrap();
    let direct = catalog(&server().url(&bucket, server().addr()).unwrap());
    let dir = tempfile::TempDir::new().unwrap();
    // Two pieces.
    let mut ledger = filled(dir.path(), 17);
    let plan =
        Plan::new(&dir.path().join("ldb"), &ledger, &server().url(&bucket, proxy.addr()).unwrap());
    let first = Uploader::start(&plan);
    first.publishes(ledger.head()).await;
    drop(first);
    let mut killed = 0;
    for step in 0..STEPS {
        // All pieces change, for their rows do.
        ledger.append(&rows(0..1, 1000));
        ledger.append(&rows(16 * 1024..16 * 1024 + 1, 1000));
        let (held, go) = hold(&proxy, step, when);
        let agent = Uploader::start(&plan);
        let reached = reached(held, &direct, ledger.head()).await;
        agent.kill();
        drop(go);
        check_store(&direct).await;
        proxy.heal();
        if !reached {
            break;
        }
        killed += 1;
    }
    let agent = Uploader::start(&plan);
    agent.publishes(ledger.head()).await;
    check_store(&direct).await;
    assert_eq!(newest(&direct).await.position.chain, ledger.chain);
    eprintln!("killed at {killed} requests, {when:?}");
    assert!(killed >= 6, "{killed}");
}

/// Was the request held? Not if there are not so many: then all is published without it.
async fn reached(held: mpsc::Receiver<()>, direct: &Catalog, head: u64) -> bool {
    let end = Instant::now() + SOON;
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if held.try_recv().is_ok() {
            return true;
        }
        if newest(direct).await.position.seq.get() >= head {
            // Reading it back comes after it is the newest.
            tokio::time::sleep(Duration::from_secs(1)).await;
            return held.try_recv().is_ok();
        }
        assert!(Instant::now() < end, "neither held nor published");
    }
}

/// Holds the request of this number back, and says so.
fn hold(proxy: &Proxy, step: usize, when: When) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (tell, held) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let (count, wait) = (AtomicUsize::new(0), Mutex::new(wait));
    proxy.break_by(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) != step {
            return None;
        }
        tell.send(()).ok();
        match when {
            When::Before => {
                wait.lock().unwrap().recv().ok();
                Some(Fault::Answer(503, "SlowDown"))
            }
            // The kill comes at about the same time.
            When::After => Some(Fault::LoseAnswer),
        }
    });
    (held, go)
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_at_any_moment_leaves_the_store_and_the_folder_whole() {
    killed_at_any_moment(14).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: just soak-snapshots"]
async fn kill_minus_nine_at_many_moments_leaves_the_store_and_the_folder_whole() {
    killed_at_any_moment(60).await;
}

async fn killed_at_any_moment(rounds: u64) {
    let place = tempfile::TempDir::new().unwrap();
    let url = format!("file://{}", place.path().display());
    let direct = Arc::new(catalog(&url));
    let mut site = Site::new(&url);
    site.ledger = {
        drop(std::fs::remove_file(&site.plan.ctldb));
        filled(site.dir.path(), 20)
    };
    let (mut copying, mut last) = (0, 0);
    for round in 0..rounds {
        site.ledger.append(&rows(round..round + 1, 1000));
        let agent = Uploader::start(&site.plan);
        let folder = site.plan.ldb_dir.join(".snapshot");
        if round % 2 == 0 {
            // While it is copied, compressed or uploaded.
            let seen = testkit::eventually(SOON, async || {
                anyhow::ensure!(folder.exists(), "nothing is copied");
                Ok(())
            });
            seen.await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..120))).await;
        agent.kill();
        copying += usize::from(folder.exists());
        check_store(&direct).await;
        if let agent::snapshot::Pointer::At(manifest, _) = direct.pointer().await.unwrap() {
            let seq = manifest.position.seq.get();
            assert!(seq >= last, "{last} fell to {seq}");
            last = seq;
        }
    }
    eprintln!("killed with a copy in the folder: {copying}");
    assert!(copying >= 3, "{copying}");
    let agent = Uploader::start(&site.plan);
    agent.publishes(site.ledger.head()).await;
    check_store(&direct).await;
    agent.ends("waiting").await;
    assert!(!site.plan.ldb_dir.join(".snapshot").exists());
}
