//! The ledger loses its tail while a snapshot of it is on its way: the pointer does not move to what is lost.

use std::sync::Mutex;

use testkit::s3::Proxy;

use crate::ledger_file::upsert;
use crate::stores::server;
use crate::supervisor::{Site, catalog, newest};
use crate::uploader::{SOON, Uploader};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_what_the_ledger_lost_is_broken_off() {
    let proxy = Proxy::start(server().addr()).unwrap();
    let bucket = server().create_bucket().unwrap();
    let direct = catalog(&server().url(&bucket, server().addr()).unwrap());
    let mut site = Site::new(&server().url(&bucket, proxy.addr()).unwrap());
    let agent = Uploader::start(&site.plan);
    agent.publishes(1).await;
    let mut backup = site.ledger.copy(site.dir.path());
    let (held, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    proxy.break_by(move |asked| {
        if asked.method == "PUT" && asked.path.contains("/parts/") {
            held.send(()).ok();
            wait.lock().unwrap().recv().ok();
        }
        None
    });
    site.ledger.append(&[upsert("a", 1)]);
    tokio::time::timeout(SOON, seen.recv()).await.unwrap().unwrap();
    site.ledger.fail_over_to(&mut backup);
    let broken_off = testkit::eventually(SOON, async || {
        let status = agent.status().await;
        let metrics = agent.metrics().await;
        let failed = "ctlstore_agent_snapshots_total{outcome=\"failed\"} 1";
        anyhow::ensure!(metrics.contains(failed), "not broken off: {status}");
        Ok(())
    });
    broken_off.await.unwrap();
    drop(go);
    proxy.heal();
    let message = agent.ends("waiting").await;
    assert!(message.contains("may not be in the ledger"), "{message}");
    assert_eq!(newest(&direct).await.position.seq.get(), 1);
    // It comes back after all.
    backup.append(&[upsert("a", 1)]);
    agent.publishes(2).await;
    assert_eq!(newest(&direct).await.position.chain, backup.chain);
}
