//! The database goes and comes back, and an agent is killed: reads go on, and nothing is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::condition::{ConditionType, find};
use e2e::{Stack, eventually};
use reader::Ldb;

use crate::leaks;
use crate::steps::{SOON, apply, declare_and_write, get, manifests, plan, ready, rows, wait};

#[tokio::test(flavor = "multi_thread")]
async fn reads_outlive_the_database_and_the_agent() -> Result<()> {
    let mut stack = Stack::start().await?;
    let seq = declare_and_write(&stack).await;
    wait(&stack, seq).await;
    the_database_goes_and_comes_back(&stack).await?;
    the_agent_is_killed_in_the_middle_of_writes(&mut stack).await?;
    leaks::none(&stack);
    Ok(())
}

async fn the_database_goes_and_comes_back(stack: &Stack) -> Result<()> {
    let ldb = Ldb::open(stack.ldb())?;
    let over = AtomicBool::new(false);
    let reads = || -> Result<u64> {
        let mut reads = 0;
        while !over.load(Ordering::Relaxed) {
            let row = ldb.family(&stack.family)?.row("plans", &["team".into()])?;
            ensure!(row.is_some(), "the row is gone");
            reads += 1;
        }
        Ok(reads)
    };
    let (reads, outcome) = std::thread::scope(|scope| {
        let reader = scope.spawn(reads);
        let runtime = tokio::runtime::Handle::current();
        let outcome = tokio::task::block_in_place(|| runtime.block_on(an_outage(stack)));
        over.store(true, Ordering::Relaxed);
        (reader.join(), outcome)
    });
    outcome?;
    let reads = reads.expect("the reader panicked")?;
    assert!(reads > 1000, "{reads} reads");
    Ok(())
}

async fn an_outage(stack: &Stack) -> Result<()> {
    stack.mariadb.stop()?;
    let refused = stack.write(&plan("meanwhile", &[])).unwrap_err().to_string();
    assert!(refused.starts_with("50"), "{refused}");
    let more = "      type: Binary\n    - name: trial_days\n      type: Integer\n";
    apply(stack, &manifests(stack).replace("      type: Binary\n", more))?;
    eventually(SOON, async || {
        let table = stack.namespace.tables().get_status("plans").await?;
        let conditions = table.status.context("it has a status")?.conditions;
        let ready = find(&conditions, ConditionType::Ready).context("it has a condition")?;
        ensure!(ready.reason == "DatabaseUnavailable", "{ready:?}");
        ensure!(stack.agent.program.stderr().contains("cannot look at the ledger"), "it looks on");
        Ok(())
    })
    .await?;
    let agent = stack.agent.ask("/readyz")?;
    assert_eq!(agent.status, 200, "it serves what it has: {}", agent.text());
    assert_eq!(get(stack, "plans", &["team"]).await["seats"], 25);

    stack.mariadb.restart()?;
    ready(stack, "plans").await;
    let back = plan("back", &[("trial_days", 7.into())]);
    let seq = eventually(SOON, async || stack.write(&back)).await?;
    wait(stack, seq).await;
    assert_eq!(get(stack, "plans", &["back"]).await["trial_days"], 7);
    Ok(())
}

async fn the_agent_is_killed_in_the_middle_of_writes(stack: &mut Stack) -> Result<()> {
    let before = rows(stack, "plans", &[])?.len();
    let mut last = 0;
    for number in 0..60 {
        if number == 30 {
            stack.replace_agent().await?;
        }
        last = stack.write(&plan(&format!("k{number}"), &[("trial_days", number.into())]))?;
    }
    wait(stack, last).await;
    let read = rows(stack, "plans", &[])?;
    assert_eq!(read.len(), before + 60);
    // The same rows as in ctldb, in the same order.
    let sql = format!("SELECT id FROM ctlstore.{}___plans ORDER BY id", stack.family);
    let ctldb = stack.mariadb.sql(&sql)?;
    let ids = read.iter().map(|row| match row.get("id") {
        Some(ledger::Value::Text(id)) => id.as_str(),
        other => panic!("{other:?} is no key"),
    });
    assert_eq!(ids.collect::<Vec<_>>(), ctldb.lines().collect::<Vec<_>>());
    let ready = eventually(Duration::from_secs(10), async || stack.agent.ask("/readyz")?.ok());
    ready.await.map(drop)
}
