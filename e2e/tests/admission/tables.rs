//! CtlTables at their creation.

use e2e::Namespace;
use serde_json::json;

use crate::{Case, NAME, columns, good_table, judge};

const TABLES: &[Case] = &[
    ("as it is", |_| (), None),
    ("digit first", |t| t["metadata"]["name"] = json!("1plans"), Some(NAME)),
    ("double hyphen", |t| t["metadata"]["name"] = json!("my--plans"), Some(NAME)),
    ("dot", |t| t["metadata"]["name"] = json!("my.plans"), Some(NAME)),
    ("two characters", |t| t["metadata"]["name"] = json!("ab"), Some("3 to 50 characters")),
    (
        "51 characters",
        |t| t["metadata"]["name"] = json!("a".repeat(51)),
        Some("3 to 50 characters"),
    ),
    ("capital", |t| t["metadata"]["name"] = json!("Plans"), Some("lowercase RFC 1123")),
    ("underscore", |t| t["metadata"]["name"] = json!("my_plans"), Some("lowercase RFC 1123")),
    (
        "name: capital",
        |t| t["spec"]["name"] = json!("Plans"),
        Some("a table name has lower-case letters"),
    ),
    (
        "name: digit first",
        |t| t["spec"]["name"] = json!("1plans"),
        Some("a table name has lower-case letters"),
    ),
    (
        "name: double underscore",
        |t| t["spec"]["name"] = json!("my__plans"),
        Some("single underscores"),
    ),
    (
        "name: hyphen",
        |t| t["spec"]["name"] = json!("my-plans"),
        Some("a table name has lower-case letters"),
    ),
    (
        "name: too long",
        |t| t["spec"]["name"] = json!("a".repeat(51)),
        Some("spec.name: Too long: may not be more than 50"),
    ),
    (
        "name: too short",
        |t| t["spec"]["name"] = json!("ab"),
        Some("spec.name in body should be at least 3 chars long"),
    ),
    ("name: ends with an underscore", |t| t["spec"]["name"] = json!("plans_"), None),
    (
        "61 characters together",
        |t| {
            t["metadata"]["name"] = json!("a".repeat(41));
            t["spec"]["familyRef"]["name"] = json!("b".repeat(20));
        },
        None,
    ),
    (
        "62 characters together",
        |t| {
            t["metadata"]["name"] = json!("a".repeat(42));
            t["spec"]["familyRef"]["name"] = json!("b".repeat(20));
        },
        Some("61 characters together, shorten one or set a short name"),
    ),
    (
        "62 characters together, but a short name",
        |t| {
            t["metadata"]["name"] = json!("c".repeat(42));
            t["spec"]["familyRef"]["name"] = json!("b".repeat(20));
            t["spec"]["name"] = json!("short");
        },
        None,
    ),
    (
        "no family",
        |t| drop(t["spec"].as_object_mut().unwrap().remove("familyRef")),
        Some("spec.familyRef: Required value"),
    ),
    (
        "no columns",
        |t| t["spec"]["columns"] = json!([]),
        Some("spec.columns in body should have at least 1 items"),
    ),
    (
        "column twice",
        |t| t["spec"]["columns"][1]["name"] = json!("id"),
        Some(r#"duplicate entries for key [name="id"]"#),
    ),
    (
        "column: capital",
        |t| t["spec"]["columns"][2]["name"] = json!("Price"),
        Some("a column name has lower-case letters"),
    ),
    (
        "column: digit first",
        |t| t["spec"]["columns"][2]["name"] = json!("1st"),
        Some("a column name has lower-case letters"),
    ),
    (
        "column: underscore first",
        |t| t["spec"]["columns"][2]["name"] = json!("_p"),
        Some("a column name has lower-case letters"),
    ),
    (
        "column: empty",
        |t| t["spec"]["columns"][2]["name"] = json!(""),
        Some("should be at least 1 chars long"),
    ),
    (
        "column: 65 characters",
        |t| t["spec"]["columns"][2]["name"] = json!("a".repeat(65)),
        Some("may not be more than 64"),
    ),
    ("column: double underscore", |t| t["spec"]["columns"][2]["name"] = json!("a__b"), None),
    (
        "column: no type",
        |t| drop(t["spec"]["columns"][2].as_object_mut().unwrap().remove("type")),
        Some("spec.columns[2].type: Required value"),
    ),
    (
        "column: unknown type",
        |t| t["spec"]["columns"][2]["type"] = json!("Float"),
        Some(r#"supported values: "String", "Integer", "Decimal", "Text", "Binary", "ByteString""#),
    ),
    (
        "column: type in lower case",
        |t| t["spec"]["columns"][2]["type"] = json!("string"),
        Some("Unsupported value"),
    ),
    (
        "key: no such column",
        |t| t["spec"]["keyColumns"] = json!(["id", "nope"]),
        Some("keyColumns must name columns of the table"),
    ),
    (
        "key: Decimal",
        |t| t["spec"]["keyColumns"] = json!(["price"]),
        Some("a key column must be of type String, Integer or ByteString"),
    ),
    (
        "key: column twice",
        |t| t["spec"]["keyColumns"] = json!(["id", "id"]),
        Some("keyColumns names a column twice"),
    ),
    (
        "key: empty",
        |t| t["spec"]["keyColumns"] = json!([]),
        Some("spec.keyColumns in body should have at least 1 items"),
    ),
    (
        "key: 16 columns",
        |t| {
            t["spec"]["columns"] = columns(20, |index| format!("c{index}"));
            t["spec"]["keyColumns"] = (0..16).map(|index| format!("c{index}")).collect();
        },
        None,
    ),
    (
        "key: 17 columns",
        |t| {
            t["spec"]["columns"] = columns(20, |index| format!("c{index}"));
            t["spec"]["keyColumns"] = (0..17).map(|index| format!("c{index}")).collect();
        },
        Some("spec.keyColumns: Too many: 17: must have at most 16 items"),
    ),
    (
        "256 columns with names of 64 characters",
        |t| {
            t["spec"]["columns"] = columns(256, |index| format!("c{index:063}"));
            t["spec"]["keyColumns"] = (240..256).map(|index| format!("c{index:063}")).collect();
        },
        None,
    ),
    (
        "257 columns",
        |t| {
            t["spec"]["columns"] = columns(257, |index| format!("c{index}"));
            t["spec"]["keyColumns"] = json!(["c0"]);
        },
        Some("spec.columns: Too many: 257: must have at most 256 items"),
    ),
    (
        "policy unknown",
        |t| t["spec"]["deletionPolicy"] = json!("Orphan"),
        Some(r#"supported values: "Retain", "Delete""#),
    ),
    ("limits", |t| t["spec"]["limits"] = json!({ "maxSize": "1.5Gi", "warnSize": 1000 }), None),
    (
        "limits: not a size",
        |t| t["spec"]["limits"] = json!({ "maxSize": "lots" }),
        Some("a size is a positive number of bytes, such as 100Mi"),
    ),
    (
        "limits: negative",
        |t| t["spec"]["limits"] = json!({ "maxSize": -1 }),
        Some("a size is a positive number of bytes"),
    ),
    (
        "limits: zero",
        |t| t["spec"]["limits"] = json!({ "warnSize": "0Mi" }),
        Some("a size is a positive number of bytes"),
    ),
    (
        "limits: thousandths",
        |t| t["spec"]["limits"] = json!({ "maxSize": "100m" }),
        Some("a size is a positive number of bytes"),
    ),
    (
        "limits: warning too late",
        |t| t["spec"]["limits"] = json!({ "maxSize": "1Gi", "warnSize": "1025Mi" }),
        Some("warnSize must not be above maxSize"),
    ),
    ("unknown field", |t| t["spec"]["colums"] = json!([]), Some("field not declared in schema")),
    (
        "unknown field of a column",
        |t| t["spec"]["columns"][0]["nullable"] = json!(true),
        Some("field not declared in schema"),
    ),
];

#[tokio::test]
async fn bad_tables_are_refused() {
    let namespace = Namespace::create().await.unwrap();
    let mut wrong = Vec::new();
    for (index, (label, change, want)) in TABLES.iter().enumerate() {
        let mut table = good_table(&format!("plans-{index}"));
        change(&mut table);
        judge(label, namespace.apply(&table).await, *want, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
