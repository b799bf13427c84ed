//! Kill -9 of an uploading agent, at every step: before a request is sent on, after it was done and before the answer came,
//! and at random moments, also while the LDB is copied. What the pointer names is whole each time, and the next agent goes
//! on from what is there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

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
async fn kill_minus_nine_at_every_request_leaves_the_store_whole() {
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
    let (mut killed, mut unreached) = (0, 0);
    for step in 0..STEPS {
        for when in [When::Before, When::After] {
            // All pieces change, for their rows do.
            ledger.append(&rows(0..1, 1000));
            ledger.append(&rows(16 * 1024..16 * 1024 + 1, 1000));
            let (held, go) = hold(&proxy, step, when);
            let agent = Uploader::start(&plan);
            let reached =
                tokio::task::spawn_blocking(move || held.recv_timeout(Duration::from_secs(8)));
            match reached.await.unwrap() {
                Ok(()) => killed += 1,
                // There are not so many.
                Err(_) => unreached += 1,
            }
            agent.kill();
            drop(go);
            check_store(&direct).await;
            proxy.heal();
            if unreached > 1 {
                break;
            }
        }
    }
    let agent = Uploader::start(&plan);
    agent.publishes(ledger.head()).await;
    check_store(&direct).await;
    assert_eq!(newest(&direct).await.position.chain, ledger.chain);
    println!("killed at {killed} requests");
    assert!(killed >= 12, "{killed}");
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
    let place = tempfile::TempDir::new().unwrap();
    let url = format!("file://{}", place.path().display());
    let direct = Arc::new(catalog(&url));
    let mut site = Site::new(&url);
    site.ledger = {
        drop(std::fs::remove_file(&site.plan.ctldb));
        filled(site.dir.path(), 20)
    };
    let (mut copying, mut last) = (0, 0);
    for round in 0..30 {
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
    println!("killed with a copy in the folder: {copying}");
    assert!(copying >= 3, "{copying}");
    let agent = Uploader::start(&site.plan);
    agent.publishes(site.ledger.head()).await;
    check_store(&direct).await;
    agent.ends("waiting").await;
    assert!(!site.plan.ldb_dir.join(".snapshot").exists());
}
