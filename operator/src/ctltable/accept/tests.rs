use crds::{CtlFamilySpec, CtlTableSpec};
use expect_test::{Expect, expect};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;

fn family(spec: Value) -> Arc<CtlFamily> {
    let spec: CtlFamilySpec = serde_json::from_value(spec).unwrap();
    Arc::new(CtlFamily::new("billing", spec))
}

fn table(name: &str, namespace: &str, spec: Value) -> CtlTable {
    let mut whole = json!({
        "familyRef": {"name": "billing"}, "keyColumns": ["id"],
        "columns": [{"name": "id", "type": "String"}, {"name": "note", "type": "Text"}],
    });
    let Value::Object(spec) = spec else { panic!("a spec is an object") };
    whole.as_object_mut().unwrap().extend(spec);
    let mut table = CtlTable::new(name, serde_json::from_value::<CtlTableSpec>(whole).unwrap());
    table.metadata.namespace = Some(namespace.to_owned());
    table.metadata.generation = Some(3);
    table.metadata.creation_timestamp = Some(Time(jiff::Timestamp::from_second(100).unwrap()));
    table
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn declared(spec: Value) -> Declared {
    let family = ctlfamily::Declared { family: family(json!({})), rivals: Vec::new() };
    let table = Arc::new(table("plans", "web", spec));
    Declared { table, labels: labels(&[]), family: Some(family), rivals: Vec::new() }
}

fn in_family(spec: Value) -> Declared {
    let family = ctlfamily::Declared { family: family(spec), rivals: Vec::new() };
    Declared { family: Some(family), ..declared(json!({})) }
}

#[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
fn check(declared: Declared, want: Expect) {
    let have = match accept(&declared) {
        Ok(Accepted { schema, limit, deletion, family_ends: _, confirmed }) => {
            let limit = limit.map(|SizeLimit { max_bytes, warn_bytes }| (max_bytes, warn_bytes));
            format!("{} {limit:?} {deletion:?} {confirmed}", schema.table())
        }
        Err(Refusal { about, reason, message }) => format!("{about}: {reason}: {message}"),
    };
    want.assert_eq(&have);
}

#[test]
fn a_table_is_accepted_with_names_limits_and_policy() {
    check(declared(json!({})), expect!["billing___plans None Retain false"]);
    check(
        declared(json!({"name": "p_l", "deletionPolicy": "Delete"})),
        expect!["billing___p_l None Delete false"],
    );
    check(
        declared(json!({"limits": {"maxSize": "2Ki"}})),
        expect!["billing___plans Some((2048, 2048)) Retain false"],
    );
    check(
        declared(json!({"limits": {"warnSize": 7}})),
        expect!["billing___plans Some((9223372036854775807, 7)) Retain false"],
    );
    check(
        in_family(json!({"name": "bills", "tableDefaults": {"maxSize": "10", "warnSize": "8"}})),
        expect!["bills___plans Some((10, 8)) Retain false"],
    );
    let mut small = in_family(json!({"tableDefaults": {"maxSize": "10", "warnSize": "8"}}));
    small.table = Arc::new(table("plans", "web", json!({"limits": {"maxSize": "5"}})));
    check(small, expect!["billing___plans Some((5, 5)) Retain false"]);
}

#[test]
fn a_confirmation_counts_for_its_generation() {
    let annotated = |value: &str| {
        let mut with = declared(json!({}));
        let annotations = labels(&[(crds::CONFIRM_CHANGES, value)]);
        Arc::make_mut(&mut with.table).metadata.annotations = Some(annotations);
        with
    };
    check(annotated("3"), expect!["billing___plans None Retain true"]);
    check(annotated("2"), expect!["billing___plans None Retain false"]);
    check(annotated("yes"), expect!["billing___plans None Retain false"]);
}

#[test]
fn the_family_decides() {
    let gone = Declared { family: None, ..declared(json!({})) };
    check(
        gone,
        expect![[r#"Accepted: FamilyNotFound: CtlFamily "billing" does not exist, apply it"#]],
    );
    check(
        in_family(json!({"name": "a__b"})),
        expect![[
            r#"Accepted: FamilyNotReady: CtlFamily "billing" is not accepted: spec.name: a family name has lower-case letters, digits and single underscores, begins with a letter and does not end with an underscore"#
        ]],
    );
    let selective = || {
        in_family(
            json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "web"}}}}),
        )
    };
    check(
        selective(),
        expect![[
            r#"Accepted: NamespaceNotAllowed: CtlFamily "billing" does not let namespace "web" add tables: ask its owners to widen spec.allowedNamespaces"#
        ]],
    );
    check(
        Declared { labels: labels(&[("team", "web")]), ..selective() },
        expect!["billing___plans None Retain false"],
    );
}

#[test]
fn an_older_table_of_the_same_name_goes_first() {
    let rival = |second: i64, namespace: &str, team: &str| {
        let mut table = table("plans", namespace, json!({}));
        table.metadata.creation_timestamp =
            Some(Time(jiff::Timestamp::from_second(second).unwrap()));
        Rival { table: Arc::new(table), labels: labels(&[("team", team)]) }
    };
    let against = |rival| Declared { rivals: vec![rival], ..declared(json!({})) };
    check(
        against(rival(99, "shop", "")),
        expect![[
            r#"Accepted: NameConflict: CtlTable "shop/plans" is older and has the name billing___plans in SQL: choose another spec.name"#
        ]],
    );
    check(against(rival(101, "shop", "")), expect!["billing___plans None Retain false"]);
    // Of the same second, the smaller uid or, without one, the smaller namespace.
    check(
        against(rival(100, "shop", "")),
        expect![[
            r#"Accepted: NameConflict: CtlTable "shop/plans" is older and has the name billing___plans in SQL: choose another spec.name"#
        ]],
    );
    // A namespace that may not add tables takes no name away.
    let mut selective = in_family(
        json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "web"}}}}),
    );
    selective.labels = labels(&[("team", "web")]);
    selective.rivals = vec![rival(99, "shop", "squatters")];
    check(selective, expect!["billing___plans None Retain false"]);
}

#[test]
fn what_slipped_past_the_api_server_is_refused_here() {
    check(
        declared(json!({"keyColumns": ["nope"]})),
        expect![
            "Accepted: InvalidSpec: spec.keyColumns: keyColumns must name columns of the table"
        ],
    );
    check(
        declared(json!({"name": "ab"})),
        expect![[
            r#"Accepted: InvalidSpec: table name "ab" is too short: use at least 3 characters"#
        ]],
    );
    check(
        declared(json!({"keyColumns": []})),
        expect!["Accepted: InvalidSpec: table billing___plans: no key column, name at least one"],
    );
    let mut long = in_family(json!({"name": "f".repeat(30)}));
    long.table = Arc::new(table("plans", "web", json!({"name": "t".repeat(40)})));
    check(
        long,
        expect![[
            r#"Accepted: NameTooLong: LDB table name "ffffffffffffffffffffffffffffff___tttttttttttttttttttttttttttttttttttttttt" is too long: family, three underscores and table may have 64 characters together, shorten one"#
        ]],
    );
    let wide: Vec<_> =
        (0..90).map(|n| json!({"name": format!("c{n}"), "type": "String"})).collect();
    check(
        declared(json!({"columns": wide, "keyColumns": ["c0"]})),
        expect![
            "Accepted: TableTooWide: a row of table billing___plans takes up to 68952 bytes, at most 65535 are possible: use Text or Binary for wide columns, or split the table"
        ],
    );
}
