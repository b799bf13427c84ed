//! One pass changes so many tables and no more, until somebody says that it is meant.

use anyhow::{Result, ensure};
use crds::CONFIRM_CHANGES;
use crds::condition::Reason;
use kube::api::ListParams;
use operator::{Config, MaxChanges};
use testkit::eventually;

use crate::manifest::{family, table};
use crate::world::{Operator, SOON, World, message};

async fn ready(world: &World) -> Result<Vec<(String, bool)>> {
    let tables = world.tables("web").list(&ListParams::default()).await?;
    let reason = |table: &crds::CtlTable| {
        let status = table.status.clone().unwrap_or_default();
        let ready =
            crds::condition::find(&status.conditions, crds::condition::ConditionType::Ready);
        ready.map(|ready| ready.reason.clone()).unwrap_or_default()
    };
    let mut found = Vec::new();
    for table in tables {
        let reason = reason(&table);
        let held = reason == Reason::TooManyChanges.to_string();
        ensure!(held || reason == Reason::Applied.to_string(), "{reason}");
        found.push((table.metadata.name.unwrap(), !held));
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_stops_at_its_limit_until_it_is_confirmed() -> Result<()> {
    let world = World::new().await?;
    let config = || Config {
        max_changes: MaxChanges { growing: 2, drops: 1 },
        allow_drop: true,
        ..world.config()
    };
    let operator = Operator::start(config()).await?;
    let tables =
        ["one", "two", "three"].map(|name| table("web", name, &[], &["deletionPolicy: Delete"]));
    world.apply(&[vec![family("billing", &[])], tables.to_vec()].concat())?;
    let found = eventually(SOON, async || {
        let found = ready(&world).await?;
        ensure!(found.iter().filter(|(_, ready)| *ready).count() == 2, "{found:?}");
        ensure!(found.len() == 3);
        Ok(found)
    });
    let held = found.await?.into_iter().find(|(_, ready)| !ready).unwrap().0;
    let stalled = world.table(&held, Reason::TooManyChanges).await?;
    let words = format!("confirm with kubectl -n web annotate ctltable {held} {CONFIRM_CHANGES}=1");
    assert!(message(&stalled).contains(&words), "{}", message(&stalled));

    // Neither time nor a restart lets it through.
    operator.stop().await?;
    let operator = Operator::start(config()).await?;
    operator.says("/metrics", "result=\"Refused\"} 1").await?;
    assert_eq!(world.ledger().await?.len(), 2);
    let confirm = format!("{CONFIRM_CHANGES}=1");
    world.server.kubectl(&["annotate", "ctltable", &held, "--namespace=web", &confirm])?;
    world.table(&held, Reason::Applied).await?;
    assert_eq!(world.ledger().await?.len(), 3);

    world.server.kubectl(&["delete", "ctltable", "--all", "--namespace=web", "--wait=false"])?;
    let left = eventually(SOON, async || {
        let left = world.tables("web").list(&ListParams::default()).await?;
        ensure!(left.items.iter().all(|table| message(table).contains("one pass may drop 1")));
        Ok(left.items)
    });
    let left = left.await?;
    // The confirmation of its creation is not one of its end: deletion is another generation.
    assert!(!left.is_empty() && left.len() >= 2, "{}", left.len());
    for table in left {
        let (name, generation) = (table.metadata.name.unwrap(), table.metadata.generation.unwrap());
        let confirm = format!("{CONFIRM_CHANGES}={generation}");
        let args = ["annotate", "ctltable", &name, "--namespace=web", "--overwrite", &confirm];
        world.server.kubectl(&args)?;
        world.gone("web", &name).await?;
    }
    assert_eq!(world.ctldb().tables(None).await?.len(), 0);
    operator.stop().await
}
