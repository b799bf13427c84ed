//! Changes to CtlTables.

use e2e::Namespace;
use serde_json::{Value, json};

use crate::{columns, good_table, judge};

/// A good table, a good change, and then another.
type Update = (&'static str, fn(&mut Value), fn(&mut Value), Option<&'static str>);

const UPDATES: &[Update] = &[
    (
        "columns prepended",
        |_| (),
        |t| {
            t["spec"]["columns"]
                .as_array_mut()
                .unwrap()
                .insert(0, json!({ "name": "new", "type": "Text" }));
        },
        None,
    ),
    ("columns reordered", |_| (), |t| t["spec"]["columns"].as_array_mut().unwrap().reverse(), None),
    (
        "limits and policy changed",
        |_| (),
        |t| {
            t["spec"]["limits"] = json!({ "maxSize": "1Mi" });
            t["spec"]["deletionPolicy"] = json!("Delete");
        },
        None,
    ),
    (
        "column removed",
        |_| (),
        |t| drop(t["spec"]["columns"].as_array_mut().unwrap().pop()),
        Some("a column cannot be removed, keep it or create a new table"),
    ),
    (
        "column renamed",
        |_| (),
        |t| t["spec"]["columns"][2]["name"] = json!("cost"),
        Some("a column cannot be removed"),
    ),
    (
        "type changed",
        |_| (),
        |t| t["spec"]["columns"][2]["type"] = json!("Integer"),
        Some("the type of a column cannot be changed, add a new column instead"),
    ),
    (
        "type changed and column moved",
        |_| (),
        |t| {
            t["spec"]["columns"][2]["type"] = json!("Integer");
            t["spec"]["columns"].as_array_mut().unwrap().reverse();
        },
        Some("the type of a column cannot be changed"),
    ),
    (
        "key reordered",
        |_| (),
        |t| t["spec"]["keyColumns"] = json!(["seats", "id"]),
        Some("keyColumns cannot be changed, create a new table instead"),
    ),
    (
        "key shortened",
        |_| (),
        |t| t["spec"]["keyColumns"] = json!(["id"]),
        Some("keyColumns cannot be changed"),
    ),
    (
        "key lengthened",
        |t| t["spec"]["keyColumns"] = json!(["id"]),
        |t| t["spec"]["keyColumns"] = json!(["id", "seats"]),
        Some("keyColumns cannot be changed"),
    ),
    (
        "family changed",
        |_| (),
        |t| t["spec"]["familyRef"]["name"] = json!("shipping"),
        Some("familyRef cannot be changed, create a new table instead"),
    ),
    (
        "name added",
        |_| (),
        |t| t["spec"]["name"] = json!("other"),
        Some("name can be neither added nor dropped"),
    ),
    (
        "name dropped",
        |t| t["spec"]["name"] = json!("other"),
        |t| drop(t["spec"].as_object_mut().unwrap().remove("name")),
        Some("name can be neither added nor dropped"),
    ),
    (
        "name changed",
        |t| t["spec"]["name"] = json!("other"),
        |t| t["spec"]["name"] = json!("another"),
        Some("name cannot be changed, create a new table instead"),
    ),
    (
        "256 columns of 64 characters, one more type changed",
        |t| {
            t["spec"]["columns"] = columns(256, |index| format!("c{index:063}"));
            t["spec"]["keyColumns"] = json!([format!("c{:063}", 255)]);
        },
        |t| {
            t["spec"]["columns"] = columns(256, |index| format!("c{index:063}"));
            t["spec"]["columns"][0]["type"] = json!("Text");
            t["spec"]["keyColumns"] = json!([format!("c{:063}", 255)]);
        },
        Some("the type of a column cannot be changed"),
    ),
];

#[tokio::test]
async fn what_is_fixed_for_good_cannot_be_changed() {
    let namespace = Namespace::create().await.unwrap();
    let mut wrong = Vec::new();
    for (index, (label, prepare, change, want)) in UPDATES.iter().enumerate() {
        let mut table = good_table(&format!("plans-{index}"));
        prepare(&mut table);
        judge(label, namespace.apply(&table).await, None, &mut wrong);
        change(&mut table);
        let answer = namespace.apply(&table).await;
        if let Err(kube::Error::Api(status)) = &answer {
            // Programs tell "forbidden" from "malformed" by the cause.
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let forbidden = causes.into_iter().any(|cause| cause.reason == "FieldValueForbidden");
            if !forbidden {
                wrong.push(format!("{label}: no cause says forbidden: {:?}", status.details));
            }
        }
        judge(label, answer, *want, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
