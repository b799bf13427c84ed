//! The definitions are complete: bounded, described, up to date, and they fit the examples.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use crds::{CtlFamily, CtlTable, definition};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;
use serde_json::{Value, json};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Calls `look` with the path and the schema of each field of each definition.
fn each_field(mut look: impl FnMut(&str, &Value)) {
    for definition in definition::all() {
        let kind = definition.spec.names.kind.clone();
        let value = serde_json::to_value(&definition).unwrap();
        let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(&kind, schema, &mut look);
    }
}

fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), field, look);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{suffix}"), &schema[key], look);
        }
    }
}

#[test]
fn the_committed_yaml_is_what_the_code_says() {
    let committed = fs::read_to_string(project("crds/crds.yaml")).unwrap();
    assert!(
        committed == definition::yaml().unwrap(),
        "crds/crds.yaml is out of date: run `./justw crds`"
    );
}

#[test]
fn the_yaml_reads_back_as_the_definitions() {
    let text = definition::yaml().unwrap();
    let read: Vec<_> = serde_yaml::Deserializer::from_str(&text)
        .map(|document| CustomResourceDefinition::deserialize(document).unwrap())
        .collect();
    assert_eq!(read, definition::all());
}

#[test]
fn kubectl_apply_can_store_each_definition_in_an_annotation() {
    for definition in definition::all() {
        assert!(serde_json::to_string(&definition).unwrap().len() < 262_144);
    }
}

#[test]
fn every_field_is_described() {
    let mut fields = 0;
    each_field(|path, schema| {
        if !path.ends_with(['}', ']']) {
            fields += 1;
            let text = schema["description"].as_str().unwrap_or_default();
            assert!(text.len() > 10, "{path} has no description");
            assert!(!text.contains("Auto-generated"), "{path}: {text}");
        }
    });
    assert!(fields > 50, "only {fields} fields were looked at");
}

#[test]
fn every_string_list_and_map_is_bounded() {
    let mut bounds = 0;
    each_field(|path, schema| {
        let bound = match schema["type"].as_str() {
            Some("string") if schema["enum"].is_array() => return,
            Some("string") => "maxLength",
            Some("array") => "maxItems",
            Some("object") if schema["additionalProperties"].is_object() => "maxProperties",
            None if schema["x-kubernetes-int-or-string"] == json!(true) => "maxLength",
            Some("object" | "integer") => return,
            other => panic!("{path} has type {other:?}"),
        };
        bounds += 1;
        assert!(schema[bound].is_number(), "{path} has no {bound}");
    });
    assert!(bounds > 25, "only {bounds} bounds were looked at");
}

#[test]
fn null_is_not_a_value() {
    each_field(|path, schema| assert!(schema["nullable"].is_null(), "{path} may be null"));
}

#[test]
fn rules_speak_in_one_line_as_the_house_does() {
    let mut rules = 0;
    each_field(|path, schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules += 1;
            let message = rule["message"].as_str().unwrap_or_else(|| panic!("{path}: {rule}"));
            assert!(!message.contains('\n') && !message.ends_with('.'), "{path}: {message}");
            assert!(message.starts_with(|c: char| c.is_lowercase()), "{path}: {message}");
        }
    });
    assert!(rules > 15, "only {rules} rules were looked at");
}

#[test]
fn every_example_is_ours_to_the_last_field() {
    let mut objects = Vec::new();
    for folder in fs::read_dir(project("examples")).unwrap() {
        let folder = folder.unwrap().path();
        let files = if folder.is_dir() { fs::read_dir(folder).unwrap() } else { continue };
        for file in files {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "yaml") {
                objects.extend(parse(&file));
            }
        }
    }
    assert!(objects.len() >= 2, "only {objects:?} was found");
}

/// The kinds of ours in a file, each parsed as its type.
fn parse(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut kinds = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let object = Value::deserialize(document).unwrap();
        if object["apiVersion"] != json!(format!("{}/{}", crds::GROUP, crds::VERSION)) {
            continue;
        }
        let kind = object["kind"].as_str().unwrap().to_owned();
        let unknown = match kind.as_str() {
            "CtlFamily" => {
                CtlFamily::deserialize(&object).unwrap();
                definition::unknown_fields(&definition::family(), &object)
            }
            "CtlTable" => {
                CtlTable::deserialize(&object).unwrap();
                definition::unknown_fields(&definition::table(), &object)
            }
            other => panic!("{}: {other} is not a kind of ours", file.display()),
        };
        assert!(unknown.is_empty(), "{}: unknown fields {unknown:?}", file.display());
        kinds.push(kind);
    }
    kinds
}

#[test]
fn unknown_fields_are_named_with_their_path() {
    let object = json!({
        "apiVersion": "ctlstore.dev/v1alpha1",
        "kind": "CtlTable",
        "metadata": { "name": "plans", "labels": { "any": "thing" } },
        "colour": "red",
        "spec": {
            "familyRef": { "name": "billing", "namespace": "x" },
            "columns": [{ "name": "id", "type": "String" }, { "name": "a", "typ": "String" }],
            "keyColumns": ["id"],
            "limit": {},
        },
    });
    assert_eq!(
        definition::unknown_fields(&definition::table(), &object),
        [".colour", ".spec.familyRef.namespace", ".spec.columns[1].typ", ".spec.limit"]
    );
    let family = json!({ "spec": { "allowedNamespaces": {
        "from": "Selector", "selector": { "matchLabels": { "team": "x" }, "match": 1 },
    } } });
    assert_eq!(
        definition::unknown_fields(&definition::family(), &family),
        [".spec.allowedNamespaces.selector.match"]
    );
}

#[test]
fn an_older_definition_is_told_apart() {
    let ours = definition::table();
    assert!(definition::missing_fields(&ours, &ours).is_empty());

    let mut older = serde_json::to_value(&ours).unwrap();
    let fields = older
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
        .unwrap();
    fields.as_object_mut().unwrap().remove("limits");
    let column = fields.pointer_mut("/columns/items/properties").unwrap();
    column.as_object_mut().unwrap().remove("type");
    let older = serde_json::from_value(older).unwrap();
    assert_eq!(definition::missing_fields(&older, &ours), [".spec.columns[].type", ".spec.limits"]);
    // One that knows more is fine.
    assert!(definition::missing_fields(&ours, &older).is_empty());
}
