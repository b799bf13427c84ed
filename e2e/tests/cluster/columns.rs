//! Scenario 2: a table changes under readers, and what would break them is refused.

use anyhow::{Result, ensure};
use e2e::cluster::{Site, scenario};
use serde_json::json;

use crate::{SOON, one_row};

#[tokio::test]
#[ignore = "needs a cluster: ./justw e2e"]
async fn columns_are_added_and_nothing_else_is_done_to_them() -> Result<()> {
    scenario("columns", json!({}), async |site| {
        let (readers, executive) = one_row(site).await?;
        site.apply(&site.table("billing", "plans", &[("notes", "Text")]))?;
        let namespace = format!("--namespace={}", site.apps);
        let wait = ["wait", "ctltable/plans", &namespace, "--for=jsonpath={.status.observedGeneration}=2", "--timeout=60s"];
        site.cluster.kubectl(&wait)?;
        site.wait_for("ctltable/plans", "Ready")?;
        let described = site.sql("DESCRIBE ctlstore.billing___plans")?;
        ensure!(described.contains("notes"), "{described}");
        site.write(&executive, "billing", &json!({"mutations": [{"table": "plans", "values": {"id": "b", "amount": 2, "notes": "new"}}]}))?;
        let mut changed = site.table("billing", "plans", &[("notes", "Text")]);
        changed["spec"]["columns"][1]["type"] = json!("Decimal");
        let mut removed = site.table("billing", "plans", &[("notes", "Text")]);
        if let Some(columns) = removed["spec"]["columns"].as_array_mut() {
            columns.remove(1);
        }
        let refusals = [
            (&changed, "the type of a column cannot be changed"),
            (&removed, "a column cannot be removed"),
        ];
        for (refused, why) in refusals {
            let error = site.apply(refused).err().map(|error| format!("{error:#}")).unwrap_or_default();
            ensure!(error.contains(why), "it says {error:?}");
        }
        // The same by another way: the data stays, and so does the refusal.
        site.cluster.kubectl(&["delete", "ctltable/plans", &namespace, "--timeout=60s"])?;
        site.apply(&changed)?;
        not_accepted(site, "plans", "SchemaConflict").await?;
        // A family that lets nobody of here in.
        let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "another"}}});
        site.apply(&json!({
            "apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlFamily", "metadata": {"name": "closed"},
            "spec": {"allowedNamespaces": selector},
        }))?;
        site.apply(&site.table("closed", "foreign", &[]))?;
        not_accepted(site, "foreign", "NamespaceNotAllowed").await?;
        let row = json!({"id": "still written", "amount": 3, "notes": null});
        let batch = json!({"mutations": [{"table": "plans", "values": row}]});
        site.write(&executive, "billing", &batch)?;
        readers.see(site.cluster.nodes()?.len(), 3, SOON).await?;
        readers.saw_no_error()
    })
    .await
}

/// Waits until the table is not accepted for this reason, and one event says so.
async fn not_accepted(site: &Site, table: &str, reason: &str) -> Result<()> {
    let namespace = format!("--namespace={}", site.apps);
    let accepted = "--for=jsonpath={.status.conditions[?(@.type==\"Accepted\")].reason}";
    let accepted = format!("{accepted}={reason}");
    let table = format!("ctltable/{table}");
    site.cluster.kubectl(&["wait", &table, &namespace, &accepted, "--timeout=60s"])?;
    let field = format!("--field-selector=reason={reason}");
    testkit::eventually(SOON, async || {
        let events = site.cluster.get(&["events", &namespace, &field])?;
        ensure!(events["items"].as_array().is_some_and(|events| events.len() == 1), "{events}");
        Ok(())
    })
    .await
}
