//! What the types themselves know: names, who may add tables, and how conditions change.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;

use crds::condition::{self, ConditionType, Reason, State, Wanted};
use crds::{AllowedNamespaces, CtlFamily, CtlFamilySpec, CtlTable, CtlTableSpec, DeletionPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::Resource;
use serde_json::json;

#[test]
fn group_and_version_are_the_constants() {
    assert_eq!((&*CtlFamily::group(&()), &*CtlFamily::version(&())), (crds::GROUP, crds::VERSION));
    assert_eq!((&*CtlTable::group(&()), &*CtlTable::version(&())), (crds::GROUP, crds::VERSION));
    assert!(crds::FINALIZER.starts_with(crds::GROUP));
    assert!(crds::CONFIRM_CHANGES.starts_with(crds::GROUP));
}

#[test]
fn hyphens_become_underscores_unless_a_name_is_given() {
    let mut family = CtlFamily::new("feature-flags", CtlFamilySpec::default());
    assert_eq!(family.sql_name(), "feature_flags");
    family.spec.name = Some("flags".to_owned());
    assert_eq!(family.sql_name(), "flags");

    let mut table = CtlTable::new("per-tenant-on", CtlTableSpec::default());
    assert_eq!(table.sql_name(), "per_tenant_on");
    table.spec.name = Some("tenants_".to_owned());
    assert_eq!(table.sql_name(), "tenants_");
}

#[test]
fn defaults_are_those_of_the_schema() {
    let family: CtlFamily = serde_json::from_value(json!({
        "apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlFamily",
        "metadata": { "name": "billing" }, "spec": {},
    }))
    .unwrap();
    assert_eq!(family.spec, CtlFamilySpec::default());
    assert_eq!(family.spec.deletion_policy, DeletionPolicy::Retain);
    assert!(family.spec.allowed_namespaces.allow(&BTreeMap::new()).unwrap());
}

#[test]
fn a_selector_decides_by_labels() {
    let allowed = |spec| serde_json::from_value::<AllowedNamespaces>(spec).unwrap();
    let labels = BTreeMap::from([("team".to_owned(), "billing".to_owned())]);
    let by_label = allowed(json!({
        "from": "Selector", "selector": { "matchLabels": { "team": "billing" } },
    }));
    assert!(by_label.allow(&labels).unwrap());
    assert!(!by_label.allow(&BTreeMap::new()).unwrap());

    let by_expression = allowed(json!({
        "from": "Selector",
        "selector": { "matchExpressions": [{ "key": "team", "operator": "NotIn", "values": ["billing"] }] },
    }));
    assert!(!by_expression.allow(&labels).unwrap());
    assert!(by_expression.allow(&BTreeMap::new()).unwrap());

    assert!(allowed(json!({ "from": "Selector", "selector": {} })).allow(&labels).unwrap());
    // The API server refuses it; nobody is let in by it.
    assert!(!allowed(json!({ "from": "Selector" })).allow(&labels).unwrap());
}

fn time(text: &str) -> Time {
    serde_json::from_value(json!(text)).unwrap()
}

fn show(conditions: &[Condition]) -> Vec<String> {
    let line = |c: &Condition| {
        let since = serde_json::to_value(&c.last_transition_time).unwrap();
        format!("{}={} {} {}", c.type_, c.status, c.reason, since.as_str().unwrap())
    };
    conditions.iter().map(line).collect()
}

#[test]
fn a_transition_time_moves_only_with_the_status() {
    let (first, later) = (time("2026-01-01T00:00:00Z"), time("2026-01-02T00:00:00Z"));
    let ready = |state, reason| Wanted::new(ConditionType::Ready, state, reason, "why");
    let accepted = Wanted::new(ConditionType::Accepted, State::True, Reason::Applied, "fine");

    let before = condition::merge(
        &[],
        &[accepted.clone(), ready(State::False, Reason::FamilyNotFound)],
        Some(1),
        &first,
    );
    assert_eq!(
        show(&before),
        [
            "Ready=False FamilyNotFound 2026-01-01T00:00:00Z",
            "Accepted=True Applied 2026-01-01T00:00:00Z"
        ]
    );

    // Another reason, the same status: the time stays, and it is news.
    let after = condition::merge(
        &before,
        &[accepted.clone(), ready(State::False, Reason::NameConflict)],
        Some(2),
        &later,
    );
    assert_eq!(
        show(&after),
        [
            "Ready=False NameConflict 2026-01-01T00:00:00Z",
            "Accepted=True Applied 2026-01-01T00:00:00Z"
        ]
    );
    assert_eq!(after[0].observed_generation, Some(2));
    let news: Vec<_> = condition::news(&before, &after).map(|c| c.type_.as_str()).collect();
    assert_eq!(news, ["Ready"]);

    // Another status: the time moves. What is no longer wanted goes.
    let last = condition::merge(&after, &[ready(State::True, Reason::Applied)], Some(2), &later);
    assert_eq!(show(&last), ["Ready=True Applied 2026-01-02T00:00:00Z"]);
    assert!(condition::is_true(&last, ConditionType::Ready, Some(2)));
    assert!(!condition::is_true(&last, ConditionType::Ready, Some(3)));
    assert!(!condition::is_true(&last, ConditionType::Accepted, None));
    assert_eq!(condition::news(&last, &last).count(), 0);
}

#[test]
fn messages_fit_the_schema() {
    let text = format!("one\n  two\r\nthree {}", "x".repeat(5000));
    let wanted = [Wanted::new(ConditionType::Stalled, State::True, Reason::DDLFailed, text)];
    let merged = condition::merge(&[], &wanted, None, &time("2026-01-01T00:00:00Z"));
    assert!(merged[0].message.starts_with("one two three x"));
    assert_eq!(merged[0].message.len(), 4096);
    assert_eq!(merged[0].reason, "DDLFailed");
}
