//! A declared table becomes a table and a ledger entry; nothing more happens after that.

use std::time::Duration;

use anyhow::{Result, ensure};
use crds::condition::Reason;
use testkit::eventually;
use testkit::mariadb::MariaDb;

use crate::manifest::{family, table};
use crate::world::{Operator, SOON, World, conditions, message, version};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_becomes_ready_grows_and_is_then_left_alone() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    // Before its family, as a folder may have it.
    world.apply(&[table("web", "plans", &["note Text"], &[]), family("billing", &[])])?;
    let plans = world.table("plans", Reason::Applied).await?;
    let status = plans.status.clone().unwrap();
    assert_eq!(status.sql_name.as_deref(), Some("billing___plans"));
    assert_eq!(status.schema_seq, Some(1));
    assert_eq!(message(&plans), "table billing___plans is in the ledger at sequence 1");
    assert_eq!(
        conditions(&plans),
        "Ready=True/Applied Accepted=True/Applied Programmed=True/Applied Propagated=Unknown/NoReports"
    );
    let ledger = world.ledger().await?;
    assert_eq!(ledger.len(), 1, "{ledger:?}");
    assert!(ledger[0].starts_with("CREATE TABLE "), "{ledger:?}");

    let who = "SELECT principal, reason FROM ctlstore_batches";
    let name = world.url.rsplit('/').next().unwrap();
    let who = MariaDb::shared().sql(&format!("USE {name}; {who}"))?;
    assert_eq!(
        who.trim(),
        "operator/here for kubectl-client-side-apply\tCtlTable web/plans generation 1"
    );

    world.apply(&[table("web", "plans", &["more Integer", "note Text"], &[])])?;
    let grown = eventually(SOON, async || {
        let plans = world.table("plans", Reason::Applied).await?;
        ensure!(plans.status.as_ref().unwrap().schema_seq == Some(2), "not yet");
        Ok(plans)
    });
    let grown = grown.await?;
    assert!(world.ledger().await?[1].contains("ADD COLUMN"));
    // Whether the table was seen before its family is a matter of chance.
    let seen_early = world.told("CtlTable", "plans", &["FamilyNotFound", "Applied x2"]);
    let seen_late = world.told("CtlTable", "plans", &["Applied x2"]);
    tokio::select! {
        told = seen_early => told?,
        told = seen_late => told?,
    }

    let billing = eventually(SOON, async || {
        let billing = world.family("billing", Reason::Applied).await?;
        ensure!(billing.status.as_ref().unwrap().table_count == Some(1), "not counted yet");
        Ok(billing)
    });
    let billing = billing.await?;
    world.told("CtlFamily", "billing", &["Applied"]).await?;
    operator.stop().await?;

    // Another life of the operator looks at everything and changes nothing.
    let operator = world.operator().await?;
    operator
        .says("/metrics", "ctlstore_operator_reconciles_total{kind=\"ctltable\",result=\"Done\"} 1")
        .await?;
    operator
        .says("/metrics", "ctlstore_operator_reconciles_total{kind=\"ctlfamily\",result=\"Done\"}")
        .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    operator
        .says(
            "/metrics",
            "ctlstore_operator_reconciles_total{kind=\"ctltable\",result=\"Done\"} 1\n",
        )
        .await?;
    let after = world.table("plans", Reason::Applied).await?;
    assert_eq!(version(&after), version(&grown));
    assert_eq!(world.family("billing", Reason::Applied).await?.metadata, billing.metadata);
    assert_eq!(world.ledger().await?.len(), 2);
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_policies_and_drift_are_followed() -> Result<()> {
    let world = World::new().await?;
    let config = operator::Config { recheck: Duration::from_secs(2), ..world.config() };
    let operator = Operator::start(config).await?;
    let billing =
        family("billing", &["name: bills", "tableDefaults: {maxSize: 2Mi, warnSize: 1Mi}"]);
    // One after the other, for the table's events are counted.
    world.apply(&[billing])?;
    world.family("billing", Reason::Applied).await?;
    world.apply(&[table("web", "plans", &["note Text"], &[])])?;
    let plans = world.table("plans", Reason::Applied).await?;
    assert_eq!(plans.status.unwrap().sql_name.as_deref(), Some("bills___plans"));
    let name = ledger::LdbTable::parse("bills___plans")?;
    let limit = async || world.ctldb().table_limit(&name).await;
    assert_eq!(
        limit().await?.map(|limit| (limit.max_bytes, limit.warn_bytes)),
        Some((2 << 20, 1 << 20))
    );
    world.apply(&[table("web", "plans", &["note Text"], &["limits: {maxSize: 512Ki}"])])?;
    eventually(SOON, async || {
        let limit = limit().await?.map(|limit| (limit.max_bytes, limit.warn_bytes));
        ensure!(limit == Some((512 << 10, 512 << 10)), "{limit:?}");
        Ok(())
    })
    .await?;

    let database = world.url.rsplit('/').next().unwrap();
    let sql = |sql: &str| MariaDb::shared().sql(&format!("USE {database}; {sql}"));
    sql("ALTER TABLE bills___plans ADD COLUMN sneaked BIGINT NOT NULL")?;
    let drifted = world.table("plans", Reason::Drifted).await?;
    assert!(message(&drifted).contains("it has got column \"sneaked\""), "{}", message(&drifted));
    sql("ALTER TABLE bills___plans DROP COLUMN sneaked")?;
    world.table("plans", Reason::Applied).await?;
    world.told("CtlTable", "plans", &["Applied x2", "Drifted"]).await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_crds_hold_the_operator_back_and_are_named() -> Result<()> {
    let world = World::new().await?;
    world.server.kubectl(&["delete", "crd", "ctltables.ctlstore.dev"])?;
    let operator = world.operator().await?;
    operator.says("/readyz", "crds: the CRD ctltables.ctlstore.dev is not installed").await?;
    world.server.install_crds()?;
    operator.says("/readyz", "HTTP/1.1 200").await?;
    operator.says("/metrics", "\nctlstore_operator_leader 1\n").await?;
    operator.says("/livez", "HTTP/1.1 200").await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_a_later_release_hides_no_other() -> Result<()> {
    let world = World::new().await?;
    let kind = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/columns/items/properties/type/enum/-";
    let later = format!(r#"[{{"op": "add", "path": "{kind}", "value": "Json"}}]"#);
    let crd = ["patch", "crd", "ctltables.ctlstore.dev", "--type=json", "--patch", &later];
    world.server.kubectl(&crd)?;
    let strange = table("web", "strange", &["note Json"], &[]);
    eventually(SOON, async || world.apply(std::slice::from_ref(&strange))).await?;
    let operator = world.operator().await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::Applied).await?;
    operator
        .says("/metrics", "ctlstore_operator_undecodable_objects_total{kind=\"CtlTable\"}")
        .await?;
    operator.stop().await
}
