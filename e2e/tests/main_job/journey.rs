//! From `kubectl apply` to a row in the node's file, and what becomes of changes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Stack, eventually};
use nix::sys::signal::Signal;
use reader::Ldb;
use serde_json::{Value, json};

use crate::leaks;
use crate::steps::{
    SOON, apply, batch, declare_and_write, get, manifests, plan, ready, rows, wait,
};

#[tokio::test]
async fn a_declared_table_takes_rows_over_http_and_every_node_has_them() -> Result<()> {
    let mut stack = Stack::start().await?;
    the_agent_says_that_it_may_not_read(&stack).await?;

    let seq = declare_and_write(&stack).await;
    wait(&stack, seq).await;
    let team = &batch()["mutations"][1]["values"];
    assert_eq!(get(&stack, "plans", &["team"]).await, *team);
    let quotas = rows(&stack, "quotas", &["acme".into()])?;
    let amounts: Vec<_> = quotas.iter().map(|row| row.get("amount")).collect();
    let want = [200, 9_007_199_254_740_993].map(ledger::Value::Integer);
    assert_eq!(amounts, [Some(&want[0]), Some(&want[1])]);
    let table = ready(&stack, "plans").await;
    let status = table.status.context("it has a status")?;
    assert_eq!(status.sql_name, Some(format!("{}___plans", stack.family)));
    let events = stack.namespace.dump().await?;
    assert!(events.contains("event on plans: Applied: "), "{events}");

    a_column_is_added(&stack).await?;
    a_type_is_not_changed(&stack).await?;
    the_agents_user_cannot_write(&stack);
    leaks::none(&stack);
    all_end_in_good_order(&mut stack).await
}

/// A fresh node has nothing to serve yet; the log says why.
async fn the_agent_says_that_it_may_not_read(stack: &Stack) -> Result<()> {
    eventually(SOON, async || {
        let ready = stack.agent.ask("/readyz")?;
        let text = ready.text();
        ensure!(ready.status == 503 && text.contains("no LDB yet"), "{} {text}", ready.status);
        let said = stack.agent.program.stderr();
        ensure!(said.contains("SELECT on ctlstore_dml_ledger"), "{said}");
        Ok(())
    })
    .await
}

async fn a_column_is_added(stack: &Stack) -> Result<()> {
    let more = "      type: Binary\n    - name: trial_days\n      type: Integer\n";
    let grown = manifests(stack).replace("      type: Binary\n", more);
    apply(stack, &grown)?;
    ready(stack, "plans").await;
    eventually(SOON, async || {
        let row = get(stack, "plans", &["team"]).await;
        ensure!(row.get("trial_days") == Some(&Value::Null) && row["seats"] == 25, "{row}");
        Ok(())
    })
    .await?;
    let seq = stack.write(&plan("solo", &[("trial_days", json!(14))]))?;
    wait(stack, seq).await;
    assert_eq!(get(stack, "plans", &["solo"]).await["trial_days"], 14);
    Ok(())
}

/// The API server itself says no, so `kubectl apply` shows it.
async fn a_type_is_not_changed(stack: &Stack) -> Result<()> {
    let before = Ldb::open(stack.ldb())?.seq()?;
    let retyped =
        manifests(stack).replace("seats\n      type: Integer", "seats\n      type: String");
    let refused = apply(stack, &retyped).unwrap_err().to_string();
    assert!(refused.contains("spec.columns") && refused.contains("type"), "{refused}");
    ready(stack, "plans").await;
    assert_eq!(Ldb::open(stack.ldb())?.seq()?, before, "nothing came of it");
    Ok(())
}

fn the_agents_user_cannot_write(stack: &Stack) {
    let said = stack.agent.program.stderr();
    assert!(!said.contains("the agent's user may write"), "{said}");
    let grants = stack.mariadb.sql("SHOW GRANTS FOR 'ctlstore_agent'@'%'").unwrap();
    let may =
        |line: &str| line.starts_with("GRANT SELECT ON") || line.starts_with("GRANT USAGE ON");
    assert!(grants.lines().all(may), "{grants}");
}

async fn all_end_in_good_order(stack: &mut Stack) -> Result<()> {
    for (name, service) in [
        ("operator", &mut stack.operator),
        ("executive", &mut stack.executive),
        ("agent", &mut stack.agent),
    ] {
        service.program.signal(Signal::SIGTERM)?;
        let ended = service.program.end(Duration::from_secs(20)).await?;
        ensure!(ended.code() == Some(0), "{name} ended with {}:\n{}", ended.status, ended.stderr);
    }
    // Nobody has to run for the file to be read.
    assert_eq!(get(stack, "plans", &["team"]).await["name"], "Team");
    Ok(())
}
