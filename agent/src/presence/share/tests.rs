//! Nodes that all want to build anew, against a real API server.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use crds::presence::lease_name;
use testkit::apiserver::ApiServer;
use tokio::task::JoinSet;

use super::*;
use crate::presence::{Cluster, Presence};

const QUICK: Pace = Pace {
    spread: Duration::from_millis(500),
    settle: Duration::from_millis(200),
    again: Duration::from_millis(300),
};

/// Never lets anybody, and counts how often it was asked.
#[derive(Debug, Default)]
struct Never(AtomicUsize);

#[async_trait]
impl Share for Arc<Never> {
    async fn may_rebuild(&self, _: Reason) -> Turn {
        self.0.fetch_add(1, Ordering::Relaxed);
        Turn::No { again: Duration::from_millis(10) }
    }

    async fn done(&self) {}
}

struct Fleet {
    client: kube::Client,
    namespace: String,
    alone: Arc<Never>,
}

impl Fleet {
    async fn new(server: &ApiServer) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let namespace = server.create_namespace()?;
        Ok(Self { client: server.client().await?, namespace, alone: Arc::default() })
    }

    /// A node that has been there for a while.
    async fn node(&self, name: &str) -> Result<FleetShare> {
        let cluster = Cluster::with_client(self.client.clone(), &self.namespace, name);
        let presence = Presence::new(cluster, Duration::from_secs(30), NodeReport::default);
        presence.own.renew().await?;
        let share = presence.share(25, Arc::clone(&self.alone));
        Ok(FleetShare { pace: QUICK, ..share })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_nodes_than_the_share_build_anew_together() -> Result<()> {
    const NODES: usize = 12;
    let fleet = Fleet::new(ApiServer::shared()).await?;
    let mut nodes = Vec::new();
    for node in 0..NODES {
        nodes.push(fleet.node(&format!("n{node}")).await?);
    }
    let (building, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut all = JoinSet::new();
    for node in nodes {
        let (building, most) = (Arc::clone(&building), Arc::clone(&most));
        all.spawn(async move {
            while let Turn::No { again } = node.may_rebuild(Reason::Forked).await {
                tokio::time::sleep(again).await;
            }
            let now = building.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            // It may ask again and keeps its turn.
            assert_eq!(node.may_rebuild(Reason::Forked).await, Turn::Yes);
            tokio::time::sleep(Duration::from_millis(300)).await;
            building.fetch_sub(1, Ordering::SeqCst);
            node.done().await;
        });
    }
    // Everybody gets a turn.
    tokio::time::timeout(Duration::from_secs(120), all.join_all()).await?;
    let most = most.load(Ordering::SeqCst);
    // A quarter of twelve; by steps of one at a time it would not be worth it.
    assert!((2..=3).contains(&most), "{most} at a time");
    assert_eq!(fleet.alone.0.load(Ordering::Relaxed), 0, "the API server was there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_ends_with_the_work_and_chance_decides_without_an_api_server() -> Result<()> {
    let server = ApiServer::start()?;
    let fleet = Fleet::new(&server).await?;
    let (first, second) = (fleet.node("a").await?, fleet.node("b").await?);
    // A damaged file waits for nobody but those who build.
    let turn = async |node: &FleetShare| {
        let asked = node.may_rebuild(Reason::Damaged).await;
        tokio::time::sleep(QUICK.settle).await;
        (asked, node.may_rebuild(Reason::Damaged).await)
    };
    assert_eq!(turn(&first).await, (Turn::No { again: QUICK.settle }, Turn::Yes));
    assert!(matches!(turn(&second).await.1, Turn::No { .. }), "one of two builds");
    let leases = first.own.leases();
    let claim = async |node: &str| -> Result<_> {
        let lease = leases.get(&lease_name(node)).await?;
        Ok(NodeReport::of(&lease.metadata).claim.map(|claim| claim.building))
    };
    assert_eq!((claim("a").await?, claim("b").await?), (Some(true), None));
    // A renewal keeps what was claimed.
    first.own.renew().await?;
    assert_eq!(claim("a").await?, Some(true));
    first.done().await;
    assert_eq!(claim("a").await?, None);
    assert_eq!(turn(&second).await.1, Turn::Yes);

    server.stop()?;
    assert_eq!(fleet.alone.0.load(Ordering::Relaxed), 0);
    let by_chance = Turn::No { again: Duration::from_millis(10) };
    assert_eq!(first.may_rebuild(Reason::Damaged).await, by_chance);
    assert_eq!(fleet.alone.0.load(Ordering::Relaxed), 1);
    Ok(())
}
