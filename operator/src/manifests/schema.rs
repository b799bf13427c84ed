//! Holds a manifest against the schema of its CRD, as the API server does: unknown fields, types, what is required, enums
//! and bounds. The rules that need more than one field are in [`crate::spec`]. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Number, Value};

use crate::manifests::yaml::{Content, Node};

/// Something wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong, with the path to it.
    pub(crate) message: String,
}

/// What of `object` breaks the schema of its kind.
pub(crate) fn check(definition: &CustomResourceDefinition, object: &Node) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    let version = definition.spec.versions.iter().find(|version| version.name == crds::VERSION);
    let schema = version
        .and_then(|version| version.schema.as_ref())
        .and_then(|schema| schema.open_api_v3_schema.as_ref())
        .expect("BUG: our own CRDs have a schema for our version");
    let Content::Map(fields) = &object.content else {
        faults.add(object, "", "a manifest is a mapping with apiVersion, kind, metadata and spec");
        return faults.0;
    };
    for (name, node) in fields {
        match (name.as_str(), property(schema, name)) {
            // A status belongs to the operator; as at the API server, it is passed over.
            ("apiVersion" | "kind" | "status", _) => {}
            ("metadata", _) => faults.metadata(node),
            (_, Some(known)) => faults.value(known, node, name),
            (_, None) => faults.unknown(node, name),
        }
    }
    faults.required(schema, object, "");
    if object.field("metadata").is_none() {
        faults.add(object, "metadata", "Required value");
    }
    faults.0
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, node: &Node, path: &str, message: &str) {
        let message =
            if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") };
        self.0.push(Fault { line: node.line, message });
    }

    fn unknown(&mut self, node: &Node, path: &str) {
        self.0.push(Fault { line: node.line, message: format!("unknown field {path:?}") });
    }

    fn metadata(&mut self, metadata: &Node) {
        /// Set by the API server, or of no meaning here; a manifest that was read back has them.
        const PASSED_OVER: [&str; 8] = [
            "creationTimestamp",
            "deletionTimestamp",
            "finalizers",
            "generation",
            "managedFields",
            "ownerReferences",
            "resourceVersion",
            "uid",
        ];
        let Content::Map(fields) = &metadata.content else {
            return self.add(metadata, "metadata", "must be a mapping");
        };
        for (name, node) in fields {
            let path = format!("metadata.{name}");
            match name.as_str() {
                "name" | "namespace" if node.text().is_none() => self.not(node, &path, "string"),
                "name" | "namespace" => {}
                "labels" | "annotations" => self.texts(node, &path),
                other if PASSED_OVER.contains(&other) => {}
                _ => self.unknown(node, &path),
            }
        }
        if metadata.field("name").is_none() {
            self.add(metadata, "metadata.name", "Required value");
        }
    }

    fn texts(&mut self, node: &Node, path: &str) {
        let Content::Map(fields) = &node.content else {
            if !node.is_null() {
                self.not(node, path, "object");
            }
            return;
        };
        for (name, node) in fields.iter().filter(|(_, node)| node.text().is_none()) {
            self.not(node, &format!("{path}.{name}"), "string");
        }
    }

    fn value(&mut self, schema: &JSONSchemaProps, node: &Node, path: &str) {
        if schema.x_kubernetes_int_or_string == Some(true) {
            return match &node.content {
                Content::Text(_) => {}
                Content::Plain(Value::Number(number), _) if number.is_i64() => {}
                Content::Plain(..) | Content::List(_) | Content::Map(_) => {
                    self.not(node, path, "integer or string");
                }
            };
        }
        match (schema.type_.as_deref(), &node.content) {
            (Some("object"), Content::Map(fields)) => self.object(schema, node, fields, path),
            (Some("array"), Content::List(items)) => self.array(schema, node, items, path),
            (Some("string"), Content::Text(text)) => self.text(schema, node, text, path),
            (Some("integer"), Content::Plain(Value::Number(number), _)) if number.is_i64() => {
                self.number(schema, node, number, path);
            }
            (Some("number"), Content::Plain(Value::Number(_), _))
            | (Some("boolean"), Content::Plain(Value::Bool(_), _))
            | (None, _) => {}
            (Some(wanted), _) => self.not(node, path, wanted),
        }
    }

    fn object(
        &mut self,
        schema: &JSONSchemaProps,
        node: &Node,
        fields: &[(String, Node)],
        path: &str,
    ) {
        for (name, node) in fields {
            let path = format!("{path}.{name}");
            match (property(schema, name), &schema.additional_properties) {
                (Some(known), _) => self.value(known, node, &path),
                (None, Some(JSONSchemaPropsOrBool::Schema(any))) => self.value(any, node, &path),
                (None, Some(JSONSchemaPropsOrBool::Bool(true))) => {}
                (None, Some(JSONSchemaPropsOrBool::Bool(false)) | None) => {
                    self.unknown(node, &path)
                }
            }
        }
        self.required(schema, node, &format!("{path}."));
    }

    fn required(&mut self, schema: &JSONSchemaProps, node: &Node, prefix: &str) {
        for name in schema.required.iter().flatten().filter(|name| node.field(name).is_none()) {
            self.add(node, &format!("{prefix}{name}"), "Required value");
        }
    }

    fn array(&mut self, schema: &JSONSchemaProps, node: &Node, items: &[Node], path: &str) {
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(max) = schema.max_items.filter(|max| count > *max) {
            self.add(node, path, &format!("Too many: {count}: must have at most {max} items"));
        }
        if let Some(min) = schema.min_items.filter(|min| count < *min) {
            self.add(node, path, &format!("should have at least {min} items"));
        }
        let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items else { return };
        for (index, node) in items.iter().enumerate() {
            self.value(item, node, &format!("{path}[{index}]"));
        }
    }

    fn text(&mut self, schema: &JSONSchemaProps, node: &Node, text: &str, path: &str) {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(max) = schema.max_length.filter(|max| length > *max) {
            self.add(node, path, &format!("Too long: may not be more than {max} characters"));
        }
        if let Some(min) = schema.min_length.filter(|min| length < *min) {
            self.add(
                node,
                path,
                &format!("Invalid value: {text:?}: should be at least {min} chars long"),
            );
        }
        let known: Vec<_> =
            schema.enum_.iter().flatten().filter_map(|known| known.0.as_str()).collect();
        if !known.is_empty() && !known.contains(&text) {
            let known: Vec<_> = known.iter().map(|known| format!("{known:?}")).collect();
            let known = known.join(", ");
            self.add(
                node,
                path,
                &format!("Unsupported value: {text:?}: supported values: {known}"),
            );
        }
    }

    fn number(&mut self, schema: &JSONSchemaProps, node: &Node, number: &Number, path: &str) {
        let value = number.as_f64().unwrap_or_default();
        let wrong = |bound: &str, by: f64| {
            format!("Invalid value: {number}: should be {bound} than or equal to {by}")
        };
        if let Some(min) = schema.minimum.filter(|min| value < *min) {
            self.add(node, path, &wrong("greater", min));
        }
        if let Some(max) = schema.maximum.filter(|max| value > *max) {
            self.add(node, path, &wrong("less", max));
        }
    }

    /// The API server's words, and where YAML plays a trick, the cure.
    fn not(&mut self, node: &Node, path: &str, wanted: &str) {
        let (have, cure) = match &node.content {
            Content::Plain(value, word) => {
                let have = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(number) if number.is_f64() => "number",
                    _ => "integer",
                };
                let quote = wanted.contains("string") && !value.is_null();
                (
                    have,
                    quote.then(|| format!("; YAML reads {word} as {value}, quote it: \"{word}\"")),
                )
            }
            Content::Text(_) => ("string", None),
            Content::List(_) => ("array", None),
            Content::Map(_) => ("object", None),
        };
        let cure = cure.unwrap_or_default();
        self.add(node, path, &format!("Invalid value: {have:?}: must be of type {wanted}{cure}"));
    }
}

fn property<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    schema.properties.as_ref()?.get(name)
}
