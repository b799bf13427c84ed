//! Limits of size, from the objects to ctldb, and back from there to the objects' conditions. And the heartbeat.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::condition::{ConditionType, Reason};
use ctldb::SizeLimit;
use ledger::LdbTable;
use operator::Config;
use testkit::eventually;

use crate::manifest::{family, table};
use crate::world::{Operator, SOON, World, condition};

/// The smallest table of InnoDB has 16 KiB.
const SMALL: &str = "limits: {maxSize: 1Mi, warnSize: 1Ki}";

async fn warned(world: &World, want: Option<Reason>) -> Result<()> {
    let api = world.tables("web");
    eventually(SOON, async || {
        let said = condition(&api.get("plans").await?, ConditionType::SizeWarning);
        let said = said.map(|said| (said.status, said.reason));
        let want = want.map(|reason| ("True".to_owned(), reason.to_string()));
        ensure!(said == want, "{said:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_outgrows_its_limits_says_so_until_it_does_not() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    let plans = LdbTable::parse("billing___plans")?;
    let limit = async || world.ctldb().table_limit(&plans).await;

    // One after the other, for the table's events are counted.
    world.apply(&[family("billing", &[])])?;
    world.family("billing", Reason::Applied).await?;
    world.apply(&[table("web", "plans", &[], &[SMALL])])?;
    world.table("plans", Reason::Applied).await?;
    let own = SizeLimit { max_bytes: 1 << 20, warn_bytes: 1 << 10 };
    assert_eq!(limit().await?, Some(own));
    warned(&world, Some(Reason::AboveWarnSize)).await?;
    let metric = "ctlstore_operator_table_size_warning{family=\"billing\",table=\"plans\"}";
    operator.says("/metrics", &format!("{metric} 1\n")).await?;
    // What the leader measured is there for executives.
    let sizes = world.ctldb().table_sizes().await?;
    assert!(sizes.iter().any(|size| size.table == plans && size.bytes >= 16 << 10), "{sizes:?}");

    world.apply(&[table("web", "plans", &[], &["limits: {maxSize: 2Ki, warnSize: 1Ki}"])])?;
    warned(&world, Some(Reason::AboveMaxSize)).await?;
    let ready = condition(&world.table("plans", Reason::Applied).await?, ConditionType::Ready);
    assert_eq!(ready.context("no condition")?.status, "True", "it can still be read");

    // A restart says nothing twice.
    operator.stop().await?;
    let operator = world.operator().await?;
    world.apply(&[table("web", "plans", &[], &[])])?;
    warned(&world, None).await?;
    assert_eq!(limit().await?, None, "the family has none either");
    operator.says("/metrics", &format!("{metric} 0\n")).await?;
    let told = ["Applied", "AboveWarnSize", "AboveMaxSize", "Applied"];
    world.told("CtlTable", "plans", &told).await?;

    let defaults = ["tableDefaults: {maxSize: 1Mi, warnSize: 1Ki}"];
    world.apply(&[family("billing", &defaults)])?;
    warned(&world, Some(Reason::AboveWarnSize)).await?;
    assert_eq!(limit().await?, Some(own));
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_beats_and_the_next_one_goes_on() -> Result<()> {
    let world = World::new().await?;
    let config = || Config { heartbeat: Duration::from_millis(200), ..world.config() };
    let leader = Operator::start(config()).await?;
    leader.says("/metrics", "ctlstore_operator_leader 1").await?;
    let standby = Operator::start(config()).await?;
    let beats = async || {
        let statements = world.ledger().await?;
        let beats = statements.iter().filter(|text| text.contains("ctlstore___heartbeats"));
        anyhow::Ok(beats.count())
    };
    eventually(SOON, async || {
        ensure!(beats().await? >= 5, "no beats");
        Ok(())
    })
    .await?;
    let statements = world.ledger().await?;
    assert_eq!(
        statements[0],
        r#"CREATE TABLE ctlstore___heartbeats ("name" VARCHAR(191), "value" INTEGER, PRIMARY KEY("name"));"#
    );
    let nanos = statements[1]
        .strip_prefix(r#"REPLACE INTO ctlstore___heartbeats ("name","value") VALUES('heartbeat',"#);
    let nanos: i64 = nanos.and_then(|rest| rest.strip_suffix(')')).context("a beat")?.parse()?;
    let now = i64::try_from(jiff::Timestamp::now().as_nanosecond())?;
    assert!((now - 600_000_000_000..=now).contains(&nanos), "{nanos} at {now}");

    // Whoever leads next goes on.
    leader.stop().await?;
    let before = beats().await?;
    eventually(SOON, async || {
        ensure!(beats().await? > before, "the heart stands still");
        Ok(())
    })
    .await?;
    standby.stop().await
}
