//! What is not done as it asks says why, once, and is done when the reason is gone.

use anyhow::Result;
use crds::condition::Reason;

use crate::manifest::{family, table};
use crate::world::{World, conditions, grow_old, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_must_be_let_in_and_a_name_must_be_free() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    world.server.kubectl(&["create", "namespace", "shop"])?;
    let selective = "allowedNamespaces: {from: Selector, selector: {matchLabels: {team: web}}}";
    world.apply(&[family("billing", &[selective]), table("web", "plans", &[], &[])])?;
    let refused = world.table("plans", Reason::NamespaceNotAllowed).await?;
    assert_eq!(
        conditions(&refused),
        "Ready=False/NamespaceNotAllowed Accepted=False/NamespaceNotAllowed Programmed=Unknown/Pending \
         Propagated=Unknown/Pending Stalled=True/NamespaceNotAllowed"
    );
    assert!(world.ledger().await?.is_empty());
    world.server.kubectl(&["label", "namespace", "web", "team=web"])?;
    grow_old(&world.table("plans", Reason::Applied).await?).await?;
    world.told("CtlTable", "plans", &["NamespaceNotAllowed", "Applied"]).await?;

    world.server.kubectl(&["label", "namespace", "shop", "team=web"])?;
    world.apply(&[table("shop", "second", &[], &["name: plans"])])?;
    let loser = world.table_in("shop", "second", Reason::NameConflict).await?;
    assert!(message(&loser).starts_with("CtlTable \"web/plans\" is older"), "{}", message(&loser));
    // The name is free when its holder goes; the table is taken over as it is.
    world.delete("ctltable", "web", "plans")?;
    let winner = world.table_in("shop", "second", Reason::Applied).await?;
    assert_eq!(winner.status.unwrap().schema_seq, Some(1));
    world.told("CtlTable", "second", &["NameConflict", "Applied"]).await?;
    assert_eq!(world.ledger().await?.len(), 1);
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_table_is_adopted_or_not_touched() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    // One after the other, for the table's events are counted.
    world.apply(&[family("billing", &[])])?;
    world.family("billing", Reason::Applied).await?;
    world.apply(&[table("web", "plans", &["note Text"], &[])])?;
    world.table("plans", Reason::Applied).await?;
    let again = async |columns: &[&str], reason| {
        world.delete("ctltable", "web", "plans")?;
        world.gone("web", "plans").await?;
        world.apply(&[table("web", "plans", columns, &[])])?;
        world.table("plans", reason).await
    };
    let retyped = again(&["note Binary"], Reason::SchemaConflict).await?;
    assert!(
        message(&retyped).contains("\"note\" is Text and cannot become Binary"),
        "{}",
        message(&retyped)
    );
    assert_eq!(
        conditions(&retyped),
        "Ready=False/SchemaConflict Accepted=False/SchemaConflict Programmed=Unknown/Pending \
         Propagated=Unknown/Pending Stalled=True/SchemaConflict"
    );
    world.told("CtlTable", "plans", &["Applied", "SchemaConflict"]).await?;
    assert_eq!(retyped.status.unwrap().schema_seq, None, "it is not the table of this object");
    again(&[], Reason::SchemaConflict).await?;
    assert_eq!(world.ledger().await?.len(), 1, "nothing was touched");
    let wider = again(&["more Integer", "note Text"], Reason::Applied).await?;
    assert_eq!(wider.status.unwrap().schema_seq, Some(2));

    let wide: Vec<_> = (0..90).map(|n| format!("c{n} String")).collect();
    let wide: Vec<_> = wide.iter().map(String::as_str).collect();
    world.apply(&[table("web", "wide", &wide, &[])])?;
    let wide = world.table("wide", Reason::TableTooWide).await?;
    assert!(message(&wide).contains("at most 65535 are possible"), "{}", message(&wide));
    operator.stop().await
}
