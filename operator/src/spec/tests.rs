use std::collections::BTreeSet;

use crds::definition;
use serde_json::{Value, json};

use super::*;

/// What this module says, apart from the uniqueness that the schema has by its list type.
const OURS: [&str; 20] = [
    FAMILY_OBJECT,
    TABLE_OBJECT,
    FAMILY_NAME,
    TABLE_NAME,
    COLUMN_NAME,
    SELECTOR,
    SIZE,
    SIZE_ORDER,
    TOGETHER,
    KEY_EXISTS,
    KEY_TYPES,
    KEY_ONCE,
    FAMILY_NAME_KEPT,
    FAMILY_NAME_FIXED,
    TABLE_NAME_KEPT,
    TABLE_NAME_FIXED,
    FAMILY_REF_FIXED,
    KEY_FIXED,
    NOT_REMOVED,
    NOT_RETYPED,
];

fn messages(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                found.insert(
                    rule["message"].as_str().expect("each rule says what is wrong").to_owned(),
                );
            }
            fields.values().for_each(|value| messages(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| messages(value, found)),
        _ => {}
    }
}

#[test]
fn every_rule_of_the_crds_has_its_equal_here() {
    let mut theirs = BTreeSet::new();
    for definition in definition::all() {
        messages(&serde_json::to_value(definition).unwrap(), &mut theirs);
    }
    let ours = OURS.map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(ours, theirs);
}

fn table_of(name: &str, spec: &Value) -> CtlTable {
    let mut whole = json!({
        "familyRef": {"name": "billing"}, "keyColumns": ["id"],
        "columns": [{"name": "id", "type": "String"}, {"name": "note", "type": "Text"}],
    });
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    CtlTable::new(name, serde_json::from_value(whole).unwrap())
}

fn check(object: &CtlTable, want: &[(&str, &str)]) {
    let have = table(object);
    let have: Vec<_> = have.iter().map(|broken| (broken.path.as_str(), broken.message)).collect();
    assert_eq!(have, want, "{:?}", object.metadata.name);
}

#[test]
fn a_table_breaks_these_rules() {
    check(&table_of("plans", &json!({})), &[]);
    for name in ["pl", "Plans", "1plans", "pl--ans", "plans-", "pl.ans", &"p".repeat(51)] {
        check(&table_of(name, &json!({})), &[("", TABLE_OBJECT)]);
    }
    for name in ["a__b", "A", "1a", "a-b"] {
        check(&table_of("plans", &json!({ "name": name })), &[("spec.name", TABLE_NAME)]);
    }
    check(&table_of("plans", &json!({"name": "ends_"})), &[]);
    check(
        &table_of("plans", &json!({"familyRef": {"name": "f".repeat(30)}, "name": "t".repeat(32)})),
        &[("", TOGETHER)],
    );
    check(&table_of("plans", &json!({"keyColumns": ["nope"]})), &[("spec.keyColumns", KEY_EXISTS)]);
    check(&table_of("plans", &json!({"keyColumns": ["note"]})), &[("spec.keyColumns", KEY_TYPES)]);
    check(
        &table_of("plans", &json!({"keyColumns": ["id", "id"]})),
        &[("spec.keyColumns", KEY_ONCE)],
    );
    check(
        &table_of(
            "plans",
            &json!({"columns": [{"name": "id", "type": "String"}, {"name": "Id", "type": "Text"}]}),
        ),
        &[("spec.columns[1].name", COLUMN_NAME)],
    );
    check(
        &table_of(
            "plans",
            &json!({"columns": [{"name": "id", "type": "String"}, {"name": "id", "type": "String"}]}),
        ),
        &[("spec.columns[1]", COLUMN_TWICE)],
    );
    check(
        &table_of("plans", &json!({"limits": {"maxSize": "lots"}})),
        &[("spec.limits.maxSize", SIZE)],
    );
    check(
        &table_of("plans", &json!({"limits": {"maxSize": "0"}})),
        &[("spec.limits.maxSize", SIZE)],
    );
    check(
        &table_of("plans", &json!({"limits": {"maxSize": "1Mi", "warnSize": "2Mi"}})),
        &[("spec.limits", SIZE_ORDER)],
    );
}

fn check_update(change: &Value, want: &[(&str, &str)]) {
    let have = table_update(&table_of("plans", &json!({})).spec, &table_of("plans", change).spec);
    let have: Vec<_> = have.iter().map(|broken| (broken.path.as_str(), broken.message)).collect();
    assert_eq!(have, want, "{change}");
}

#[test]
fn what_is_fixed_for_good_stays() {
    let (id, note) =
        (json!({"name": "id", "type": "String"}), json!({"name": "note", "type": "Text"}));
    check_update(&json!({}), &[]);
    check_update(&json!({"columns": [{"name": "new", "type": "Text"}, note, id]}), &[]);
    check_update(&json!({"columns": [id]}), &[("spec.columns", NOT_REMOVED)]);
    check_update(
        &json!({"columns": [id, {"name": "note", "type": "Binary"}]}),
        &[("spec.columns", NOT_RETYPED)],
    );
    check_update(&json!({"familyRef": {"name": "other"}}), &[("spec.familyRef", FAMILY_REF_FIXED)]);
    check_update(&json!({"keyColumns": ["note"]}), &[("spec.keyColumns", KEY_FIXED)]);
    check_update(&json!({"name": "plans"}), &[("spec.name", TABLE_NAME_KEPT)]);
    let named = |name| table_of("plans", &json!({ "name": name })).spec;
    let broken = table_update(&named("one"), &named("two"));
    assert_eq!(broken, [Violation { path: "spec.name".to_owned(), message: TABLE_NAME_FIXED }]);
}

#[test]
fn a_family_breaks_these_rules() {
    let check = |name: &str, spec: Value, want: &[(&str, &str)]| {
        let have = family(&CtlFamily::new(name, serde_json::from_value(spec).unwrap()));
        let have: Vec<_> =
            have.iter().map(|broken| (broken.path.as_str(), broken.message)).collect();
        assert_eq!(have, want, "{name}");
    };
    check("billing", json!({}), &[]);
    check("Billing", json!({}), &[("", FAMILY_OBJECT)]);
    check("billing", json!({"name": "ends_"}), &[("spec.name", FAMILY_NAME)]);
    check(
        "billing",
        json!({"allowedNamespaces": {"from": "Selector"}}),
        &[("spec.allowedNamespaces", SELECTOR)],
    );
    check(
        "billing",
        json!({"tableDefaults": {"warnSize": "-1"}}),
        &[("spec.tableDefaults.warnSize", SIZE)],
    );
    let limit = json!({"writer": "importer", "rowsPerMinute": 5});
    check("billing", json!({"writerLimits": [limit]}), &[]);
    check(
        "billing",
        json!({"writerLimits": [limit, limit]}),
        &[("spec.writerLimits[1]", WRITER_TWICE)],
    );
    let named = |name: Value| serde_json::from_value::<CtlFamilySpec>(name).unwrap();
    let update = family_update(&named(json!({"name": "one"})), &named(json!({"name": "two"})));
    assert_eq!(update[0].message, FAMILY_NAME_FIXED);
    let update = family_update(&named(json!({"name": "one"})), &named(json!({})));
    assert_eq!(update[0].message, FAMILY_NAME_KEPT);
}
