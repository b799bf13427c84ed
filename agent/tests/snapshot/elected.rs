//! Two agents that upload at once, one of them standing still for longer than its Lease: the pointer's sequence never
//! goes down, and nothing that it names is missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent::snapshot::{Catalog, Pointer};
use ledger::Seq;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use testkit::apiserver::ApiServer;

use crate::ledger_file::{Ledger, TABLE, upsert};
use crate::stores::server;
use crate::supervisor::catalog;
use crate::upload::check_store;
use crate::uploader::{Plan, SOON, Uploader};

/// The shortest that there is.
const LEASE: u64 = 5;

/// Looks at the pointer again and again: how often it moved.
async fn watch(catalog: &Catalog, stop: &AtomicBool) -> usize {
    let (mut last, mut moves) = (Seq::ZERO, 0);
    while !stop.load(Ordering::Relaxed) {
        if let Pointer::At(manifest, _) = catalog.pointer().await.unwrap() {
            let seq = manifest.position.seq;
            assert!(seq >= last, "{last} fell to {seq}");
            if seq > last {
                moves += 1;
                last = seq;
                let parts: BTreeSet<_> = catalog
                    .parts()
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|(part, _)| part.digest)
                    .collect();
                assert!(
                    manifest.parts().all(|part| parts.contains(&part.digest)),
                    "a part of {seq} is missing"
                );
                catalog.manifest(seq, manifest.position.digest).await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    moves
}

struct Pair {
    dir: TempDir,
    ledger: Ledger,
    url: String,
}

impl Pair {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut ledger = Ledger::new(dir.path());
        ledger.append(&[TABLE]);
        let bucket = server().create_bucket().unwrap();
        Self { dir, ledger, url: server().url(&bucket, server().addr()).unwrap() }
    }

    fn plan(&self, name: &str) -> Plan {
        Plan { interval_ms: 300, ..Plan::new(&self.dir.path().join(name), &self.ledger, &self.url) }
    }

    /// Writes for so long, while `each` does what it likes every 50 ms.
    async fn write(&mut self, time: Duration, mut each: impl FnMut(u32)) -> usize {
        let (catalog, stop) = (catalog(&self.url), Arc::new(AtomicBool::new(false)));
        let watched = {
            let (catalog, stop) = (catalog.clone(), Arc::clone(&stop));
            tokio::spawn(async move { watch(&catalog, &stop).await })
        };
        let end = Instant::now() + time;
        let mut round = 0;
        while Instant::now() < end {
            self.ledger.append(&[upsert("a", round.into())]);
            each(round);
            round += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.store(true, Ordering::Relaxed);
        let moves = watched.await.unwrap();
        check_store(&catalog).await;
        moves
    }
}

/// Nobody is elected; now and then one of them stands still.
async fn both_always(time: Duration) {
    let mut pair = Pair::new();
    let agents = ["one", "other"].map(|name| Uploader::start(&pair.plan(name)));
    let moves = pair
        .write(time, |round| {
            // Two seconds in each four, the one and the other in turn.
            let agent = &agents[usize::try_from(round / 80 % 2).unwrap()];
            match round % 80 {
                20 => agent.signal(Signal::SIGSTOP),
                60 => agent.signal(Signal::SIGCONT),
                _ => {}
            }
        })
        .await;
    agents.iter().for_each(|agent| agent.signal(Signal::SIGCONT));
    for agent in &agents {
        agent.publishes(pair.ledger.head()).await;
    }
    eprintln!("the pointer moved {moves} times");
    assert!(moves > 3, "{moves}");
    check_store(&catalog(&pair.url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_uploaders_at_once_are_harmless() {
    both_always(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: just soak-snapshots"]
async fn two_uploaders_at_once_are_harmless_for_a_minute() {
    both_always(Duration::from_secs(60)).await;
}

fn candidates(pair: &Pair) -> (&'static ApiServer, String, [Plan; 2]) {
    let api = ApiServer::shared();
    let namespace = api.create_namespace().unwrap();
    let plan = |name: &str| {
        let elected = Some((api.kubeconfig(), namespace.clone(), name.to_owned(), LEASE));
        Plan { elected, ..pair.plan(name) }
    };
    let plans = [plan("one"), plan("other")];
    (api, namespace, plans)
}

async fn leads(agents: &[Uploader; 2]) -> usize {
    let found = testkit::eventually(SOON, async || {
        for (index, agent) in agents.iter().enumerate() {
            let status = agent.status().await;
            let message = status["message"].as_str().unwrap_or_default();
            if status["position"].is_object() && !message.contains("another process is elected") {
                return Ok(index);
            }
        }
        anyhow::bail!("none leads")
    });
    found.await.unwrap()
}

/// The elected one stands still for longer than its Lease, in the middle of its work, and wakes up while the other leads.
async fn elected(time: Duration) {
    let mut pair = Pair::new();
    let (_, _, plans) = candidates(&pair);
    let agents = plans.map(|plan| Uploader::start(&plan));
    let first = leads(&agents).await;
    let pause = u32::try_from(LEASE * 20 + 60).unwrap();
    let moves = pair
        .write(time, |round| match round {
            10 => agents[first].signal(Signal::SIGSTOP),
            round if round == 10 + pause => agents[first].signal(Signal::SIGCONT),
            _ => {}
        })
        .await;
    agents.iter().for_each(|agent| agent.signal(Signal::SIGCONT));
    eprintln!("the pointer moved {moves} times");
    assert!(moves > 3, "{moves}");
    let second = agents[1 - first].metrics().await;
    assert!(count(&second, "published") > 0, "the other never led:\n{second}");
    let head = pair.ledger.head();
    let both = testkit::eventually(SOON, async || {
        let at = crate::supervisor::newest(&catalog(&pair.url)).await.position.seq.get();
        anyhow::ensure!(at >= head, "{at} of {head}");
        Ok(())
    });
    both.await.unwrap();
    check_store(&catalog(&pair.url)).await;
}

/// Attempts that became this.
fn count(metrics: &str, outcome: &str) -> u64 {
    let line = format!("ctlstore_agent_snapshots_total{{outcome=\"{outcome}\"}} ");
    let count = metrics.lines().find_map(|text| text.strip_prefix(&line));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elected_uploader_that_stood_still_is_harmless() {
    elected(Duration::from_secs(15)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: just soak-snapshots"]
async fn an_elected_uploader_that_stood_still_is_harmless_for_a_minute() {
    elected(Duration::from_secs(60)).await;
}

/// The Lease goes to somebody else while a part is on its way: the pointer does not move.
#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_moves_no_pointer() {
    let mut pair = Pair::new();
    let (api, namespace, [plan, _]) = candidates(&pair);
    let proxy = testkit::s3::Proxy::start(server().addr()).unwrap();
    let through = pair.url.replace(&server().addr().to_string(), &proxy.addr().to_string());
    let agent = Uploader::start(&Plan { url: through, ..plan });
    agent.publishes(1).await;
    let (held, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    proxy.break_by(move |asked| {
        if asked.method == "PUT" && asked.path.contains("/parts/") {
            held.send(()).ok();
            wait.lock().unwrap().recv().ok();
        }
        None
    });
    pair.ledger.append(&[upsert("a", 1)]);
    tokio::time::timeout(SOON, seen.recv()).await.unwrap().unwrap();
    take_lease(api, &namespace);
    let deposed = testkit::eventually(SOON, async || {
        let metrics = agent.metrics().await;
        anyhow::ensure!(count(&metrics, "deposed") == 1, "{metrics}");
        Ok(())
    });
    deposed.await.unwrap();
    assert!(agent.ends("waiting").await.contains("another process is elected"));
    drop(go);
    proxy.heal();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let catalog = catalog(&pair.url);
    assert_eq!(crate::supervisor::newest(&catalog).await.position.seq.get(), 1);
    check_store(&catalog).await;
    // The thief is never heard of again.
    agent.publishes(pair.ledger.head()).await;
}

fn take_lease(api: &ApiServer, namespace: &str) {
    let patch = r#"{"spec":{"holderIdentity":"somebody-else"}}"#;
    let lease = "lease/ctlstore-snapshot";
    api.kubectl(&["-n", namespace, "patch", lease, "--type=merge", "-p", patch]).unwrap();
}
