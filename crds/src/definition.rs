//! The CustomResourceDefinitions themselves, as they are installed: what the derive macros make of our types, completed by
//! what they cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::condition::{ConditionType, Reason, State};
use crate::{CtlFamily, CtlTable};

/// Our definitions, in the order in which they are to be installed.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![family(), table()]
}

/// The definition of CtlFamily.
#[must_use]
pub fn family() -> CustomResourceDefinition {
    complete(&CtlFamily::crd())
}

/// The definition of CtlTable.
#[must_use]
pub fn table() -> CustomResourceDefinition {
    complete(&CtlTable::crd())
}

/// All definitions as one YAML stream, the same text each time.
///
/// # Errors
/// When the YAML library fails, which it has no reason to.
pub fn yaml() -> Result<String, serde_yaml::Error> {
    let mut text = String::from("# Written by `just crds` from the types in crds/. Do not edit.\n");
    for definition in all() {
        let mut value = to_value(&definition);
        whole_numbers(&mut value);
        text.push_str("---\n");
        text.push_str(&serde_yaml::to_string(&value)?);
    }
    Ok(text)
}

/// Fields of `ours` that the definition `installed` in a cluster lacks, as paths such as `.spec.limits.maxSize`. An operator
/// that finds any must not start: the API server would drop what it does not know.
#[must_use]
pub fn missing_fields(
    installed: &CustomResourceDefinition,
    ours: &CustomResourceDefinition,
) -> Vec<String> {
    let mut missing = Vec::new();
    if let Some(ours) = schema(ours) {
        missing_in(schema(installed), ours, "", &mut missing);
    }
    missing
}

/// Fields of `object` that `definition` does not have, as paths such as `.spec.columns[2].typ`. The API server calls them
/// unknown; deserializing the object would silently drop them.
#[must_use]
pub fn unknown_fields(definition: &CustomResourceDefinition, object: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if let Some(schema) = schema(definition) {
        unknown_in(schema, object, "", &mut unknown);
    }
    unknown
}

fn missing_in(
    installed: Option<&JSONSchemaProps>,
    ours: &JSONSchemaProps,
    path: &str,
    missing: &mut Vec<String>,
) {
    let Some(installed) = installed else {
        missing.push(path.to_owned());
        return;
    };
    for (name, field) in ours.properties.iter().flatten() {
        let found = installed.properties.as_ref().and_then(|fields| fields.get(name));
        missing_in(found, field, &format!("{path}.{name}"), missing);
    }
    if let Some(item) = item(ours) {
        missing_in(self::item(installed), item, &format!("{path}[]"), missing);
    }
}

fn unknown_in(schema: &JSONSchemaProps, value: &Value, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            // A field that is an object of any shape, such as a label map or the metadata.
            let Some(known) = &schema.properties else { return };
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(field) => unknown_in(field, value, &path, unknown),
                    None if is_envelope(&path) => {}
                    None => unknown.push(path),
                }
            }
        }
        Value::Array(values) => {
            let Some(item) = item(schema) else { return };
            for (index, value) in values.iter().enumerate() {
                unknown_in(item, value, &format!("{path}[{index}]"), unknown);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What every object has, whatever its schema says.
fn is_envelope(path: &str) -> bool {
    matches!(path, ".apiVersion" | ".kind" | ".metadata")
}

fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

/// The schema of our version, or of the only one.
fn schema(definition: &CustomResourceDefinition) -> Option<&JSONSchemaProps> {
    let versions = &definition.spec.versions;
    let version = versions.iter().find(|version| version.name == crate::VERSION)?;
    version.schema.as_ref()?.open_api_v3_schema.as_ref()
}

fn complete(derived: &CustomResourceDefinition) -> CustomResourceDefinition {
    let mut value = to_value(derived);
    refuse_null(&mut value);
    let status = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status");
    if let Some(Value::Object(status)) = status {
        seed(status);
    }
    serde_json::from_value(value).expect("BUG: a definition stays one when its schema is completed")
}

/// An `Option` comes out as nullable; a null would mean the same as absence, so absence is the one way to say it.
fn refuse_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // `nullable: true` is a keyword of a schema; no field of ours is called so.
            fields.retain(|name, value| !(name == "nullable" && *value == Value::Bool(true)));
            fields.values_mut().for_each(refuse_null);
        }
        Value::Array(values) => values.iter_mut().for_each(refuse_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// New objects begin with conditions that say "unknown": tools that wait take an object without any for ready.
fn seed(status: &mut Map<String, Value>) {
    let conditions: Vec<_> =
        [ConditionType::Ready, ConditionType::Accepted, ConditionType::Programmed]
            .map(|type_| {
                json!({
                    "type": type_.to_string(),
                    "status": State::Unknown.to_string(),
                    "reason": Reason::Pending.to_string(),
                    "message": "waiting for the operator",
                    "lastTransitionTime": "1970-01-01T00:00:00Z",
                })
            })
            .into();
    status.insert("default".to_owned(), json!({ "conditions": conditions }));
}

/// Bounds are floating-point numbers in the library's types, and would be printed as `256.0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Number(number) if number.is_f64() => {
            let text = number.to_string();
            if let Some(whole) = text.strip_suffix(".0").and_then(|text| text.parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn to_value(definition: &CustomResourceDefinition) -> Value {
    serde_json::to_value(definition).expect("BUG: a definition is plain data")
}
