//! The product in a real cluster, installed by its chart, in good and bad weather. `./justw e2e` makes the cluster and runs
//! these one after the other; `cargo test` alone passes them over, for it must never touch a developer's cluster.

use std::time::Duration;

use anyhow::Result;
use e2e::cluster::{Forward, Readers, Site};
use serde_json::{Value, json};

mod agents;
mod bootstrap;
mod columns;
mod deletion;
mod install;
mod removal;
mod restricted;

/// On two cores that carry four nodes, all of them pulling.
const SOON: Duration = Duration::from_secs(90);

/// A batch of new rows of the table `plans`.
fn rows<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    let row = |id| json!({"table": "plans", "values": {"id": id, "amount": 1}});
    json!({"mutations": ids.into_iter().map(row).collect::<Vec<_>>()})
}

/// The table `billing/plans` with one row, which readers on all nodes have seen.
async fn one_row(site: &Site) -> Result<(Readers, Forward)> {
    site.declare("billing", "plans")?;
    site.wait_for("ctltable/plans", "Propagated")?;
    let readers = Readers::start(&site.cluster, &site.apps, &site.directory, ("billing", "plans"))?;
    let executive = site.executive().await?;
    site.register(&executive)?;
    site.write(&executive, "billing", &rows(["first"]))?;
    readers.see(site.cluster.nodes()?.len(), 1, SOON).await?;
    Ok((readers, executive))
}
