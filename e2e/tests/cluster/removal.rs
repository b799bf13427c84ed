//! Scenario 8: the release goes and comes back, with tables and readers in use.

use anyhow::{Result, ensure};
use e2e::cluster::scenario;
use serde_json::json;

use crate::{SOON, one_row, rows};

#[tokio::test]
#[ignore = "needs a cluster: ./justw e2e"]
async fn what_is_declared_and_stored_outlives_the_release() -> Result<()> {
    scenario("removal", json!({}), async |site| {
        let (readers, executive) = one_row(site).await?;
        drop(executive);
        site.uninstall()?;
        let left = site.cluster.kubectl(&[
            "get",
            "ctltables,ctlfamilies",
            "--all-namespaces",
            "--output=name",
        ])?;
        ensure!(
            left.contains("ctltable.ctlstore.dev/plans")
                && left.contains("ctlfamily.ctlstore.dev/billing"),
            "{left}"
        );
        ensure!(
            site.sql("SELECT COUNT(*) FROM ctlstore.billing___plans")?.trim() == "1",
            "rows are gone"
        );
        readers.saw_no_error()?;
        site.upgrade(&[])?;
        site.wait_for("ctltable/plans", "Ready")?;
        let executive = site.executive().await?;
        site.write(&executive, "billing", &rows(["after the return"]))?;
        readers.see(site.cluster.nodes()?.len(), 2, SOON).await?;
        readers.saw_no_error()
    })
    .await
}
