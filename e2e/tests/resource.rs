//! What kubectl and other clients see of our resources before any operator has looked at them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::time::Duration;

use crds::condition::{self, ConditionType, Reason, State, Wanted};
use e2e::{Namespace, eventually, random_name};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

fn table(name: &str, family: &str) -> Value {
    json!({
        "apiVersion": "ctlstore.dev/v1alpha1",
        "kind": "CtlTable",
        "metadata": { "name": name },
        "spec": {
            "familyRef": { "name": family },
            "columns": [{ "name": "id", "type": "String" }],
            "keyColumns": ["id"],
        },
    })
}

#[tokio::test]
async fn new_objects_say_that_nothing_is_known_yet() {
    let namespace = Namespace::create().await.unwrap();
    namespace.apply(&table("plans", "billing")).await.unwrap();
    let family = random_name();
    let object = json!({
        "apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlFamily",
        "metadata": { "name": family }, "spec": {},
    });
    namespace.apply(&object).await.unwrap();

    let table = namespace.tables().get_status("plans").await.unwrap();
    let family = namespace.families().get_status(&family).await.unwrap();
    for conditions in [table.status.unwrap().conditions, family.status.unwrap().conditions] {
        let show: Vec<_> = conditions
            .iter()
            .map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message))
            .collect();
        assert_eq!(
            show,
            [
                "Ready=Unknown Pending: waiting for the operator",
                "Accepted=Unknown Pending: waiting for the operator",
                "Programmed=Unknown Pending: waiting for the operator",
            ]
        );
    }
}

#[tokio::test]
async fn defaults_are_filled_in() {
    let namespace = Namespace::create().await.unwrap();
    let name = random_name();
    let object = json!({
        "apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlFamily",
        "metadata": { "name": name }, "spec": {},
    });
    let stored = namespace.apply(&object).await.unwrap();
    assert_eq!(
        stored.data["spec"],
        json!({ "allowedNamespaces": { "from": "All" }, "deletionPolicy": "Retain" })
    );
}

#[tokio::test]
async fn a_status_is_written_by_itself_and_bounded() {
    let namespace = Namespace::create().await.unwrap();
    namespace.apply(&table("plans", "billing")).await.unwrap();
    let tables = namespace.tables();
    let params = PatchParams::apply("ctlstore-operator-status").force().validation_strict();
    let seeded = tables.get("plans").await.unwrap().status.unwrap().conditions;
    let now: Time = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    let ready =
        Wanted::new(ConditionType::Ready, State::True, Reason::Applied, "in the ledger at 7");
    let status = |conditions| {
        json!({
            "apiVersion": "ctlstore.dev/v1alpha1",
            "kind": "CtlTable",
            "metadata": { "name": "plans" },
            "status": {
                "observedGeneration": 1,
                "conditions": conditions,
                "sqlName": "billing___plans",
                "schemaSeq": 7,
                "propagation": { "ready": 97, "desired": 100, "minSeq": 4711 },
            },
        })
    };
    let merged = json!(condition::merge(&seeded, &[ready], Some(1), &now));
    let written = tables.patch_status("plans", &params, &Patch::Apply(status(merged))).await;
    let written = written.unwrap().status.unwrap();
    assert!(condition::is_true(&written.conditions, ConditionType::Ready, Some(1)));
    // Those that the operator did not name are still the seeded ones.
    assert_eq!(written.conditions.len(), 3);
    assert_eq!(written.schema_seq, Some(7));
    assert_eq!(written.propagation.unwrap().min_seq, Some(4711));

    // Applying the spec again leaves the status alone.
    namespace.apply(&table("plans", "billing")).await.unwrap();
    assert_eq!(tables.get("plans").await.unwrap().status.unwrap().schema_seq, Some(7));

    let bad = json!([{
        "type": "Ready", "status": "Maybe", "reason": "Applied", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let err = tables.patch_status("plans", &params, &Patch::Apply(status(bad))).await.unwrap_err();
    assert!(err.to_string().contains("Unsupported value"), "{err}");
}

#[tokio::test]
async fn tables_can_be_listed_by_family() {
    let namespace = Namespace::create().await.unwrap();
    for (name, family) in [("plans", "billing"), ("quotas", "billing"), ("routes", "edge")] {
        namespace.apply(&table(name, family)).await.unwrap();
    }
    let params = ListParams::default().fields("spec.familyRef.name=billing");
    let found = namespace.tables().list(&params).await.unwrap();
    let names: Vec<_> = found.items.into_iter().filter_map(|table| table.metadata.name).collect();
    assert_eq!(names, ["plans", "quotas"]);
}

#[tokio::test]
async fn kubectl_prints_columns_under_short_names() {
    let namespace = Namespace::create().await.unwrap();
    namespace.apply(&table("plans", "billing")).await.unwrap();
    let scope = format!("--namespace={}", namespace.name);
    let get = |args: &[&str]| {
        let args = [&["get", &scope], args].concat();
        namespace.server.kubectl(&args).unwrap()
    };
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
            .collect()
    };
    let short = rows(&get(&["ctlt"]));
    assert_eq!(short[0], ["NAME", "FAMILY", "SQL NAME", "READY", "SEQ", "AGE"]);
    assert_eq!(short[1][..3], ["plans", "billing", "Unknown"]);
    let wide = rows(&get(&["ctlt", "--output=wide"]));
    let headers =
        ["NAME", "FAMILY", "SQL NAME", "READY", "SEQ", "PROPAGATED", "REASON", "MESSAGE", "AGE"];
    assert_eq!(wide[0], headers);
    assert_eq!(
        wide[1][..5],
        ["plans", "billing", "Unknown", "Pending", "waiting for the operator"]
    );
    assert!(get(&["ctlstore", "--output=name"]).contains("ctltable.ctlstore.dev/plans"));

    let family = random_name();
    let object = json!({
        "apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlFamily",
        "metadata": { "name": family }, "spec": {},
    });
    namespace.apply(&object).await.unwrap();
    let families = rows(&get(&["ctlf", "--output=wide"]));
    assert_eq!(families[0], ["NAME", "SQL NAME", "TABLES", "READY", "REASON", "MESSAGE", "AGE"]);
}

#[tokio::test]
async fn kubectl_explains_every_field() {
    let namespace = Namespace::create().await.unwrap();
    // The API server publishes new kinds in its own time.
    eventually(Duration::from_secs(30), async || {
        namespace.server.kubectl(&["explain", "ctltable"])
    })
    .await
    .unwrap();
    // It breaks lines to fit the terminal.
    let explain = |field: &str| {
        let text = namespace.server.kubectl(&["explain", field]).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(explain("ctltable").contains("A table of control data."));
    assert!(explain("ctlfamily").contains("written and read together"));
    assert!(explain("ctltable.spec.columns.type").contains("a signed 64-bit number"));
    for kind in ["ctltable", "ctlfamily"] {
        for part in ["spec", "status"] {
            let text = explain(&format!("{kind}.{part}"));
            assert!(!text.contains("<no description>"), "{text}");
        }
    }
}
