//! Several operators at one database: those of two clusters agree or say why not, and of those of one cluster one leads.

use anyhow::Result;
use crds::condition::Reason;
use ctldb::ClusterName;
use operator::{Config, Source};

use crate::manifest::{family, table};
use crate::world::{Operator, SOON, World, message};

fn named(config: Config, cluster: &str) -> Config {
    Config { cluster_name: ClusterName::parse(cluster).unwrap(), ..config }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_own_a_table_while_they_agree() -> Result<()> {
    let here = World::new().await?;
    let there = World::with_database(&here.url).await?;
    let operators =
        (here.operator().await?, Operator::start(named(there.config(), "there")).await?);
    let both = [family("billing", &[]), table("web", "plans", &["note Text"], &[])];
    here.apply(&both)?;
    here.table("plans", Reason::Applied).await?;
    there.apply(&both)?;
    let second = there.table("plans", Reason::Applied).await?;
    assert_eq!(second.status.unwrap().schema_seq, Some(1), "the same table");
    assert_eq!(here.record("billing___plans").await?.unwrap().owners.len(), 2);

    // One wants more: it is told who else owns the table.
    let wider = table("web", "plans", &["more Integer", "note Text"], &[]);
    there.apply(std::slice::from_ref(&wider))?;
    let conflict = there.table("plans", Reason::OwnerConflict).await?;
    let text = message(&conflict);
    assert!(text.contains("CtlTable web/plans of cluster \"here\""), "{text}");
    assert_eq!(here.ledger().await?.len(), 1);
    // Both want it, and one says that it is meant.
    let generation = conflict.metadata.generation.unwrap();
    let confirm = format!("{}={generation}", crds::CONFIRM_CHANGES);
    there.server.kubectl(&["annotate", "ctltable", "plans", "--namespace=web", &confirm])?;
    there.table("plans", Reason::Applied).await?;
    here.apply(&[wider])?;
    here.table("plans", Reason::Applied).await?;
    assert_eq!(here.ledger().await?.len(), 2);

    operators.0.stop().await?;
    operators.1.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_leads_and_the_other_takes_over() -> Result<()> {
    let world = World::new().await?;
    let first = world.operator().await?;
    first.says("/metrics", "\nctlstore_operator_leader 1\n").await?;
    let second = world.operator().await?;
    second.says("/readyz", "HTTP/1.1 200").await?;
    second.says("/metrics", "\nctlstore_operator_leader 0\n").await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::Applied).await?;
    first.stop().await?;
    second.says("/metrics", "\nctlstore_operator_leader 1\n").await?;
    world.apply(&[table("web", "more", &[], &[])])?;
    world.table("more", Reason::Applied).await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_operator_writes_nothing_and_ends_with_an_error() -> Result<()> {
    let world = World::new().await?;
    let old = world.operator().await?;
    world.apply(&[family("billing", &[])])?;
    world.family("billing", Reason::Applied).await?;
    // A second one that leads by another Lease, as after a split; its epoch is the later one.
    let mut config = world.config();
    let Source::Cluster(cluster) = &mut config.source else { panic!("it is a cluster") };
    cluster.lease_name = "another".to_owned();
    let new = Operator::start(config).await?;
    let ended = tokio::time::timeout(SOON, old.ended()).await?;
    let error = format!("{:#}", ended.unwrap_err());
    assert!(error.contains("deposed: the operator's epoch 1 is over"), "{error}");
    world.apply(&[table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::Applied).await?;
    assert_eq!(world.ledger().await?.len(), 1);
    new.stop().await
}
