//! What users do, one step each.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::CtlTable;
use crds::condition::{ConditionType, is_true};
use e2e::{Stack, eventually};
use kube::ResourceExt;
use reader::{KeyValue, Ldb, Row};
use serde_json::{Value, json};
use testkit::program::Program;

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A file of the example that the README shows.
fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/billing");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The example's manifests, for the test's own family.
pub(crate) fn manifests(stack: &Stack) -> String {
    let text = format!("{}\n---\n{}", example("family.yaml"), example("tables.yaml"));
    let renamed = text.replace("name: billing", &format!("name: {}", stack.family));
    assert!(!renamed.contains("name: billing"), "{renamed}");
    renamed
}

pub(crate) fn batch() -> Value {
    serde_json::from_str(&example("batches/rows.json")).unwrap()
}

/// A batch with one row of `plans`; the other columns are null.
pub(crate) fn plan(id: &str, more: &[(&str, Value)]) -> Value {
    let mut values = json!({
        "id": id, "name": null, "seats": null, "price": null, "notes": null, "logo": null,
    });
    for (column, value) in more {
        values[column] = value.clone();
    }
    json!({ "mutations": [{ "table": "plans", "values": values }] })
}

/// `kubectl apply`, as a user does.
pub(crate) fn apply(stack: &Stack, yaml: &str) -> Result<String> {
    let namespace = format!("--namespace={}", stack.namespace.name);
    let args = ["apply", "--server-side", &namespace, "--filename=-"];
    stack.namespace.server.kubectl_with(&args, yaml)
}

/// Waits until the table as it is declared now is ready.
pub(crate) async fn ready(stack: &Stack, name: &str) -> CtlTable {
    let look = eventually(SOON, async || {
        let table = stack.namespace.tables().get_status(name).await?;
        let conditions = table.status.as_ref().map(|status| &status.conditions[..]);
        let conditions = conditions.context("it has no status")?;
        let ready = is_true(conditions, ConditionType::Ready, table.metadata.generation);
        ensure!(ready, "{} is not ready: {conditions:#?}", table.name_any());
        Ok(table)
    });
    look.await.unwrap()
}

/// From nothing to rows in ctldb; returns the sequence of their commit.
pub(crate) async fn declare_and_write(stack: &Stack) -> u64 {
    apply(stack, &manifests(stack)).unwrap();
    for table in ["plans", "quotas"] {
        ready(stack, table).await;
    }
    stack.grant_agent().unwrap();
    let registered = eventually(SOON, async || stack.register());
    registered.await.unwrap();
    stack.write(&batch()).unwrap()
}

/// `ctlstore wait`, as an init container does.
pub(crate) async fn wait(stack: &Stack, seq: u64) {
    let (seq, ldb) = (seq.to_string(), stack.ldb().display().to_string());
    let args = ["wait", "--seq", &seq, "--timeout", "60s", "--ldb", &ldb];
    let ended = Program::run(&args).await.unwrap();
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
}

/// A row by `ctlstore get`, as JSON.
pub(crate) async fn get(stack: &Stack, table: &str, key: &[&str]) -> Value {
    let ldb = stack.ldb().display().to_string();
    let args = [&["get", &stack.family, table], key, &["--output", "json", "--ldb", &ldb]].concat();
    let ended = Program::run(&args).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Rows by the reader crate, as an application reads them.
pub(crate) fn rows(stack: &Stack, table: &str, prefix: &[KeyValue<'_>]) -> Result<Vec<Row>> {
    let family = Ldb::open(stack.ldb())?.family(&stack.family)?;
    Ok(if prefix.is_empty() { family.all(table)? } else { family.rows(table, prefix)? })
}
