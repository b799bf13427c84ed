//! What a missing grant does, and that granting it is all that is needed: nothing is restarted, nothing is half done.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::condition::{ConditionType, find};
use e2e::{Stack, eventually, grants};
use reader::Ldb;
use serde_json::{Value, json};
use testkit::program::Program;

use crate::steps::{SOON, apply, declare_and_write, manifests, plan, ready, wait};

#[tokio::test]
async fn each_grant_does_what_its_page_says() -> Result<()> {
    let stack = Stack::start_with(&["--allow-drop"]).await?;
    let seq = declare_and_write(&stack).await;
    wait(&stack, seq).await;
    let deletable = "  deletionPolicy: Delete\n  keyColumns: [tenant, resource]\n";
    apply(&stack, &manifests(&stack).replace("  keyColumns: [tenant, resource]\n", deletable))?;
    ready(&stack, "quotas").await;

    a_table_is_dropped_when_that_is_granted(&stack).await?;
    tables_are_made_over_http_when_that_is_granted(&stack).await?;
    the_ledger_is_pruned_by_who_may_write_it(&stack).await?;
    // Nothing needs it; it must be SQL all the same.
    stack.mariadb.sql(&grants::statements("process", &[])?)?;
    Ok(())
}

async fn a_table_is_dropped_when_that_is_granted(stack: &Stack) -> Result<()> {
    let namespace = format!("--namespace={}", stack.namespace.name);
    stack.namespace.server.kubectl(&["delete", "ctlt/quotas", &namespace, "--wait=false"])?;
    eventually(SOON, async || {
        let table = stack.namespace.tables().get_status("quotas").await?;
        let conditions = table.status.context("it has a status")?.conditions;
        let ready = find(&conditions, ConditionType::Ready).context("it has a condition")?;
        ensure!(ready.message.contains("database user lacks a privilege"), "{ready:?}");
        // The database's own words name users and hosts: they are for the log.
        let said = stack.operator.program.stderr();
        ensure!(said.contains("DROP command denied"), "{said}");
        assert!(!ready.message.contains("ctlstore_operator"), "{ready:?}");
        Ok(())
    })
    .await?;
    let family = Ldb::open(stack.ldb())?.family(&stack.family)?;
    assert_eq!(family.all("quotas")?.len(), 2, "nothing is dropped");

    stack.mariadb.sql(&grants::statements("drop", &[])?)?;
    eventually(SOON, async || {
        let object = stack.namespace.tables().get_opt("quotas").await?;
        ensure!(object.is_none(), "{:?}", object.and_then(|object| object.status));
        let gone = family.schema("quotas").is_err_and(|error| error.is_not_found());
        ensure!(gone, "the node has the table");
        Ok(())
    })
    .await?;
    assert_eq!(family.tables()?.len(), 1);
    Ok(())
}

async fn tables_are_made_over_http_when_that_is_granted(stack: &Stack) -> Result<()> {
    let table = br#"{"fields":[["id","string"],["size","integer"]],"keyFields":["id"]}"#;
    let path = format!("/families/{}/tables/limits", stack.family);
    let refused = stack.administer(&path, table)?;
    assert!(refused.status >= 500, "{}: {}", refused.status, refused.text());
    let made = format!("SHOW TABLES FROM ctlstore LIKE '{}%limits'", stack.family);
    assert_eq!(stack.mariadb.sql(&made)?, "");

    stack.mariadb.sql(&grants::statements("http-tables", &[])?)?;
    let answer = eventually(SOON, async || stack.administer(&path, table)?.ok()).await?;
    let seq = answer.header("ctlstore-seq").context("the answer names no sequence")?;
    wait(stack, seq.parse()?).await;
    let family = Ldb::open(stack.ldb())?.family(&stack.family)?;
    let columns = eventually(Duration::from_secs(5), async || Ok(family.schema("limits")?)).await?;
    assert_eq!(columns.columns().len(), 2);
    Ok(())
}

async fn the_ledger_is_pruned_by_who_may_write_it(stack: &Stack) -> Result<()> {
    let prune = async |user: &str| {
        let url = stack.url_file(user).display().to_string();
        let args = ["ledger", "prune", "--keep", "1ms", "--output", "json", "--ctldb-url-file"];
        let blind = ["--without-snapshots", "--without-nodes"];
        Program::run(&[&args[..], &[&url], &blind].concat()).await
    };
    let refused = prune("agent").await?;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("grant what is missing"), "{refused:?}");

    let last = stack.write(&plan("before", &[]))?;
    wait(stack, last).await;
    let pruned = prune("operator").await?;
    let told: Value = serde_json::from_str(&pruned.stdout).context(format!("{pruned:?}"))?;
    assert_eq!(
        (&told["pruned_through"], &told["head"]),
        (&json!(last - 1), &json!(last)),
        "{told}"
    );
    let left = "SELECT COUNT(*) FROM ctlstore.ctlstore_dml_ledger";
    assert_eq!(stack.mariadb.sql(left)?.trim(), "1");
    // The agent reads on with the grants it has.
    wait(stack, stack.write(&plan("after", &[]))?).await;
    Ok(())
}
