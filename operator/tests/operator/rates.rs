//! Rates of writers, from the families that declare them to ctldb, and back when they do not any more.

use std::time::Duration;

use anyhow::{Result, ensure};
use crds::condition::Reason;
use ctldb::{Fence, OwnerId, RateLimit};
use ledger::WriterName;
use testkit::eventually;

use crate::manifest::family;
use crate::world::{SOON, World};

/// Waits until these are the limits, as `writer=rows by whom`.
async fn limits(world: &World, want: &[&str]) -> Result<()> {
    eventually(SOON, async || {
        let found = world.ctldb().writer_limits().await?;
        let found = found.iter().map(|found| {
            let by = match &found.set_by {
                OwnerId::Executive => "the executive",
                OwnerId::Family { name, .. } => name,
                OwnerId::Object { .. } => "a table",
            };
            format!("{}={} by {by}", found.writer, found.limit.rows)
        });
        let found: Vec<_> = found.collect();
        ensure!(found == want, "{found:?}");
        Ok(())
    })
    .await
}

fn limiting(name: &str, limits: &[(&str, u64)]) -> String {
    let mut lines = vec!["writerLimits:".to_owned()];
    for (writer, rows) in limits {
        lines.push(format!("- {{writer: {writer}, rowsPerMinute: {rows}}}"));
    }
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    family(name, &lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_sets_the_rates_of_writers_and_takes_back_what_it_set() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    world.apply(&[limiting("billing", &[("importer", 5), ("exporter", 6)])])?;
    world.family("billing", Reason::Applied).await?;
    limits(&world, &["exporter=6 by billing", "importer=5 by billing"]).await?;

    // What was said over HTTP stays, until an object says otherwise.
    let ctldb = world.ctldb();
    let (other, minute) = (WriterName::parse("other")?, Duration::from_secs(60));
    ctldb.register_writer(&other, &"secret of the other one".into()).await?;
    let said = RateLimit { rows: 1, period: minute };
    ctldb.set_writer_limit(&other, Some(said), &OwnerId::Executive, Fence::Open).await?;
    world.apply(&[limiting("billing", &[("importer", 7)])])?;
    limits(&world, &["importer=7 by billing", "other=1 by the executive"]).await?;
    world.apply(&[limiting("billing", &[("importer", 7), ("other", 2)])])?;
    limits(&world, &["importer=7 by billing", "other=2 by billing"]).await?;

    // Of two families, the one that was first keeps it, until it goes.
    world.apply(&[limiting("edge", &[("importer", 9), ("router", 3)])])?;
    let refused = world.family("edge", Reason::OwnerConflict).await?;
    let conditions = refused.status.unwrap_or_default().conditions;
    let words = "of writer \"importer\" by CtlFamily billing of cluster";
    ensure!(conditions.iter().any(|said| said.message.contains(words)), "{conditions:?}");
    limits(&world, &["importer=7 by billing", "other=2 by billing", "router=3 by edge"]).await?;
    world.server.kubectl(&["delete", "ctlfamily", "billing"])?;
    world.family("edge", Reason::Applied).await?;
    limits(&world, &["importer=9 by edge", "router=3 by edge"]).await?;

    // Nobody says goodbye for a family that goes while there is no operator.
    operator.stop().await?;
    world.server.kubectl(&["delete", "ctlfamily", "edge"])?;
    let operator = world.operator().await?;
    limits(&world, &[]).await?;
    operator.stop().await
}
