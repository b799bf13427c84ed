//! Scenario 7: what is deleted goes as its policy says, with the operator there or away; nothing hangs, nothing is lost.

use anyhow::{Result, ensure};
use e2e::cluster::{Site, scenario};
use e2e::{eventually, grants};
use serde_json::{Value, json};

use crate::{SOON, rows};

const OPERATOR: &str = "deployment/ctlstore-operator";

#[tokio::test]
#[ignore = "needs a cluster: ./justw e2e"]
async fn nothing_is_lost_without_two_keys_and_nothing_hangs() -> Result<()> {
    scenario("deletion", json!({}), async |site| {
        let mut family = json!({"apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlFamily", "metadata": {"name": "billing"}});
        family["spec"] = json!({"deletionPolicy": "Delete"});
        site.apply(&family)?;
        for (table, policy) in [("plans", "Delete"), ("kept", "Retain"), ("left", "Retain")] {
            site.apply(&with_policy(site, table, policy))?;
            site.wait_for(&format!("ctltable/{table}"), "Ready")?;
        }
        let executive = site.executive().await?;
        site.register(&executive)?;
        site.write(&executive, "billing", &rows(["first"]))?;
        drop(executive);

        // Retain: it goes at once, its rows stay.
        delete(site, "ctltable/kept", true)?;
        ensure!(tables(site)?.contains("billing___kept"), "a retained table is gone");
        // A family with tables waits for them; a table waits for the second key.
        delete(site, "ctlfamily/billing", false)?;
        reason(site, "ctlfamily/billing", "TablesRemain").await?;
        delete(site, "ctltable/plans", false)?;
        reason(site, "ctltable/plans", "DestructiveChangeBlocked").await?;
        let count = site.sql("SELECT COUNT(*) FROM ctlstore.billing___plans")?;
        ensure!(count.trim() == "1", "without the second key {count} rows are left of one");
        site.sql(&grants::statements("drop", &[])?)?;
        site.upgrade(&["--set=operator.allowDrop=true"])?;
        eventually(SOON, async || {
            let tables = tables(site)?;
            ensure!(!tables.contains("billing___plans"), "with both keys there are still {tables}");
            Ok(())
        })
        .await?;
        the_operator_is_away(site).await?;
        ensure!(tables(site)?.contains("billing___left"), "a retained table is gone");
        site.ledger_holds()
    })
    .await
}

/// A namespace goes while nobody is there to take a table's finalizer away, unless its policy is Delete: then it goes later.
async fn the_operator_is_away(site: &Site) -> Result<()> {
    let namespace = format!("--namespace={}", site.namespace);
    let scale = |to: &str| {
        site.cluster.kubectl(&["scale", OPERATOR, &namespace, &format!("--replicas={to}")])
    };
    scale("0")?;
    eventually(SOON, async || {
        let pods = site.pods("operator")?;
        ensure!(pods.is_empty(), "{} operators are still there", pods.len());
        Ok(())
    })
    .await?;
    site.cluster.kubectl(&["delete", "namespace", &site.apps, "--timeout=90s"])?;
    scale("2")?;
    site.rolled_out(OPERATOR)?;
    // Its tables in the database are nobody's now, but there: so it stays, and says so.
    reason(site, "ctlfamily/billing", "TablesRemain").await?;
    let retain = r#"{"spec":{"deletionPolicy":"Retain"}}"#;
    site.cluster.kubectl(&["patch", "ctlfamily/billing", "--type=merge", "--patch", retain])?;
    site.cluster.kubectl(&["wait", "ctlfamily/billing", "--for=delete", "--timeout=60s"]).map(drop)
}

fn with_policy(site: &Site, table: &str, policy: &str) -> Value {
    let mut table = site.table("billing", table, &[]);
    table["spec"]["deletionPolicy"] = json!(policy);
    table
}

fn delete(site: &Site, what: &str, wait: bool) -> Result<()> {
    let (namespace, wait) = (format!("--namespace={}", site.apps), format!("--wait={wait}"));
    site.cluster.kubectl(&["delete", what, &namespace, &wait, "--timeout=60s"]).map(drop)
}

fn tables(site: &Site) -> Result<String> {
    site.sql("SHOW TABLES FROM ctlstore")
}

/// Waits until an object says this of itself.
async fn reason(site: &Site, what: &str, reason: &str) -> Result<()> {
    let namespace = format!("--namespace={}", site.apps);
    eventually(SOON, async || {
        let object = site.cluster.get(&[what, &namespace])?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let said = conditions.iter().any(|condition| condition["reason"] == reason);
        ensure!(said, "{what} says {conditions:?}, not {reason}");
        Ok(())
    })
    .await
}
