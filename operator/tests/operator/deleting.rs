//! What becomes of tables and families whose objects are deleted.

use anyhow::{Result, ensure};
use crds::condition::Reason;
use testkit::eventually;

use crate::manifest::{family, table};
use crate::world::{Operator, SOON, World, grow_old, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_table_stays_without_an_owner() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    let plans = world.table("plans", Reason::Applied).await?;
    assert_eq!(plans.metadata.finalizers, None, "nothing holds a namespace back");
    assert_eq!(world.record("billing___plans").await?.unwrap().owners.len(), 1);
    world.delete("ctltable", "web", "plans")?;
    world.gone("web", "plans").await?;
    eventually(SOON, async || {
        let owners = world.record("billing___plans").await?.unwrap().owners;
        ensure!(owners.is_empty(), "{owners:?}");
        Ok(())
    })
    .await?;
    assert_eq!(world.ledger().await?.len(), 1);
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_dropped_with_two_keys_and_a_family_after_its_tables() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    let delete = "deletionPolicy: Delete";
    world.apply(&[family("billing", &[delete]), table("web", "plans", &[], &[delete])])?;
    let plans = world.table("plans", Reason::Applied).await?;
    assert_eq!(plans.metadata.finalizers, Some(vec![crds::FINALIZER.to_owned()]));

    world.delete("ctlfamily", "web", "billing")?;
    let held = world.family("billing", Reason::TablesRemain).await?;
    let text = &held.status.unwrap().conditions[0].message;
    assert!(text.contains("web/plans"), "{text}");
    world.delete("ctltable", "web", "plans")?;
    let blocked = world.table("plans", Reason::DestructiveChangeBlocked).await?;
    assert!(message(&blocked).contains("--allow-drop"), "{}", message(&blocked));
    world.told("CtlTable", "plans", &["Applied", "DestructiveChangeBlocked"]).await?;
    assert_eq!(world.ledger().await?.len(), 1);
    operator.stop().await?;

    let operator = Operator::start(operator::Config { allow_drop: true, ..world.config() }).await?;
    world.gone("web", "plans").await?;
    assert!(world.record("billing___plans").await?.is_none());
    let ledger = world.ledger().await?;
    assert!(ledger[1].starts_with("DROP TABLE"), "{ledger:?}");
    eventually(SOON, async || {
        let families = world.ctldb().families().await?;
        ensure!(families.is_empty(), "{families:?}");
        let object = world.server.kubectl(&["get", "ctlfamilies", "--output=name"])?;
        ensure!(object.is_empty(), "{object}");
        Ok(())
    })
    .await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_worked_or_is_kept_after_all_goes_without_ado() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    let delete = "deletionPolicy: Delete";
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[delete])])?;
    grow_old(&world.table("plans", Reason::Applied).await?).await?;
    // Another object of the same name: refused, protected by hand, and none of its business.
    let loser = table("web", "loser", &[], &[delete, "name: plans"])
        .replace("namespace: web", &format!("namespace: web, finalizers: [{}]", crds::FINALIZER));
    world.apply(&[loser])?;
    world.table("loser", Reason::NameConflict).await?;
    world.delete("ctltable", "web", "loser")?;
    world.gone("web", "loser").await?;
    // The policy may change while the object waits.
    world.delete("ctltable", "web", "plans")?;
    world.table("plans", Reason::DestructiveChangeBlocked).await?;
    let keep = r#"{"spec": {"deletionPolicy": "Retain"}}"#;
    world.server.kubectl(&[
        "patch",
        "ctltable",
        "plans",
        "--namespace=web",
        "--type=merge",
        "--patch",
        keep,
    ])?;
    world.gone("web", "plans").await?;
    let record = world.record("billing___plans").await?.unwrap();
    assert!(record.owners.is_empty(), "{:?}", record.owners);
    assert_eq!(world.ledger().await?.len(), 1);
    operator.stop().await
}
