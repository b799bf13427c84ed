//! CtlFamilies.

use e2e::{Namespace, random_name};
use serde_json::json;

use crate::{Case, NAME, good_family, judge};

const FAMILIES: &[Case] = &[
    ("as it is", |_| (), None),
    ("name", |f| f["spec"]["name"] = json!("my_family"), None),
    (
        "name: double underscore",
        |f| f["spec"]["name"] = json!("my__family"),
        Some("a family name has lower-case letters"),
    ),
    (
        "name: capital",
        |f| f["spec"]["name"] = json!("Family"),
        Some("a family name has lower-case letters"),
    ),
    (
        "name: ends with an underscore",
        |f| f["spec"]["name"] = json!("family_"),
        Some("does not end with an underscore"),
    ),
    (
        "name: too long",
        |f| f["spec"]["name"] = json!("a".repeat(31)),
        Some("may not be more than 30"),
    ),
    (
        "31 characters",
        |f| f["metadata"]["name"] = json!("a".repeat(31)),
        Some("3 to 30 characters"),
    ),
    ("digit first", |f| f["metadata"]["name"] = json!("7seas"), Some(NAME)),
    (
        "selector",
        |f| {
            f["spec"]["allowedNamespaces"] =
                json!({ "from": "Selector", "selector": { "matchLabels": { "a": "b" } } })
        },
        None,
    ),
    (
        "selector missing",
        |f| f["spec"]["allowedNamespaces"] = json!({ "from": "Selector" }),
        Some("selector goes with from: Selector, and only with it"),
    ),
    (
        "selector too many",
        |f| f["spec"]["allowedNamespaces"] = json!({ "selector": {} }),
        Some("selector goes with from: Selector"),
    ),
    (
        "from unknown",
        |f| f["spec"]["allowedNamespaces"] = json!({ "from": "Same" }),
        Some(r#"supported values: "All", "Selector""#),
    ),
    (
        "selector: operator unknown",
        |f| {
            f["spec"]["allowedNamespaces"] = json!({ "from": "Selector", "selector": { "matchExpressions": [{ "key": "a", "operator": "Like" }] } });
        },
        Some("Unsupported value"),
    ),
    (
        "defaults",
        |f| f["spec"]["tableDefaults"] = json!({ "maxSize": "100Mi", "warnSize": "80Mi" }),
        None,
    ),
    (
        "defaults: not a size",
        |f| f["spec"]["tableDefaults"] = json!({ "warnSize": "1e3" }),
        Some("a size is a positive number of bytes"),
    ),
    (
        "limits of writers",
        |f| {
            f["spec"]["writerLimits"] = json!([
                { "writer": "importer", "rowsPerMinute": 5000 },
                { "writer": "a b c", "rowsPerMinute": 0 },
            ]);
        },
        None,
    ),
    (
        "limits of writers: one twice",
        |f| {
            let limit = json!({ "writer": "importer", "rowsPerMinute": 5000 });
            f["spec"]["writerLimits"] = json!([limit, limit]);
        },
        Some("duplicate entries for key"),
    ),
    (
        "limits of writers: negative",
        |f| f["spec"]["writerLimits"] = json!([{ "writer": "importer", "rowsPerMinute": -1 }]),
        Some("should be greater than or equal to 0"),
    ),
    (
        "limits of writers: too short a name",
        |f| f["spec"]["writerLimits"] = json!([{ "writer": "im", "rowsPerMinute": 1 }]),
        Some("should be at least 3 chars long"),
    ),
    (
        "limits of writers: no rate",
        |f| f["spec"]["writerLimits"] = json!([{ "writer": "importer" }]),
        Some("Required value"),
    ),
    ("unknown field", |f| f["spec"]["tables"] = json!([]), Some("field not declared in schema")),
];

#[tokio::test]
async fn bad_families_are_refused() {
    let namespace = Namespace::create().await.unwrap();
    let mut wrong = Vec::new();
    for (label, change, want) in FAMILIES {
        let mut family = good_family(&random_name());
        change(&mut family);
        judge(label, namespace.apply(&family).await, *want, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_name_of_a_family_is_fixed() {
    let namespace = Namespace::create().await.unwrap();
    let mut wrong = Vec::new();
    let mut family = good_family(&random_name());
    namespace.apply(&family).await.unwrap();
    family["spec"]["name"] = json!("other");
    let want = Some("name can be neither added nor dropped, create a new family instead");
    judge("added", namespace.apply(&family).await, want, &mut wrong);
    family["metadata"]["name"] = json!(random_name());
    namespace.apply(&family).await.unwrap();
    family["spec"]["name"] = json!("another");
    let want = Some("name cannot be changed, create a new family instead");
    judge("changed", namespace.apply(&family).await, want, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
