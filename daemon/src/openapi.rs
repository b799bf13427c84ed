//! An OpenAPI 3.1 document, made from descriptions of the operations that a router is made from.
//!
//! By hand and not by a library: those that fit axum read handlers' types or macros beside them, and handlers that read their
//! bodies themselves would need a second list of routes that has to be kept true.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// A body.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// None.
    Nothing,
    /// Bytes or text of this kind.
    Raw(&'static str),
    /// JSON of this schema.
    Json(fn(&mut SchemaGenerator) -> Schema),
}

/// The API as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Its name.
    pub title: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The version of the program.
    pub version: &'static str,
}

/// What a client can ask under one path.
#[derive(Debug, Clone)]
pub struct Described {
    /// The method.
    pub method: Method,
    /// With its parameters in braces.
    pub path: String,
    /// Its name for programs.
    pub id: String,
    /// What it does.
    pub about: &'static str,
    /// With which others it stands.
    pub tag: &'static str,
    /// What must be shown, by the names of security schemes; none when it is open.
    pub security: Option<Value>,
    /// In path, query and headers.
    pub parameters: Vec<Value>,
    /// The body that it takes.
    pub takes: Content,
    /// What it answers, by status.
    pub answers: BTreeMap<StatusCode, Answered>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// When it comes.
    pub about: String,
    /// One of these.
    pub content: Vec<Content>,
    /// Headers, by name.
    pub headers: Map<String, Value>,
}

impl Answered {
    /// What was asked for.
    #[must_use]
    pub fn done(content: Content) -> Self {
        Self { about: "Done.".to_owned(), content: vec![content], headers: Map::new() }
    }

    /// A refusal as plain text, or as nothing.
    #[must_use]
    pub fn other(about: &str, content: Content) -> Self {
        Self { about: about.to_owned(), content: vec![content], headers: Map::new() }
    }
}

/// The answers for these refusals: JSON with a code, and text where the client may get that.
pub fn refusals(
    codes: impl IntoIterator<Item = (StatusCode, &'static str)>,
    or_text: bool,
) -> BTreeMap<StatusCode, Answered> {
    let mut by_status: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for (status, code) in codes {
        by_status.entry(status).or_default().insert(code);
    }
    let mut content = vec![Content::Json(error_reference)];
    if or_text {
        content.push(Content::Raw(TEXT));
    }
    let refused = |(status, codes): (StatusCode, BTreeSet<&str>)| {
        let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        let mut headers = Map::new();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let schema = json!({ "type": "integer", "minimum": 1 });
            let retry = json!({ "description": "Seconds to wait.", "schema": schema });
            headers.insert("retry-after".to_owned(), retry);
        }
        let about = format!("Refused: {}.", codes.join(", "));
        (status, Answered { about, content: content.clone(), headers })
    };
    by_status.into_iter().map(refused).collect()
}

/// The schema of a type.
pub fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The document as text.
#[must_use]
pub fn document(
    api: Api,
    security_schemes: &Value,
    operations: impl IntoIterator<Item = Described>,
) -> String {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let method = operation.method.as_str().to_ascii_lowercase();
        let described = describe(&operation, &mut generator);
        paths.entry(operation.path).or_default().insert(method, described);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Error".to_owned(), error());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": api.title,
            "version": api.version,
            "description": api.about,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": security_schemes },
    });
    document.to_string()
}

fn describe(operation: &Described, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for (status, answered) in &operation.answers {
        let mut response = json!({ "description": answered.about });
        let contents = answered.content.iter().filter_map(|one| content(*one, generator));
        let contents: Map<String, Value> = contents.collect();
        if !contents.is_empty() {
            response["content"] = Value::Object(contents);
        }
        if !answered.headers.is_empty() {
            response["headers"] = Value::Object(answered.headers.clone());
        }
        responses.insert(status.as_u16().to_string(), response);
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.about,
        "tags": [operation.tag],
        "parameters": operation.parameters,
        "responses": responses,
    });
    if let Some(security) = &operation.security {
        described["security"] = security.clone();
    }
    if let Some((kind, schema)) = content(operation.takes, generator) {
        // No bytes are bytes, too.
        let required = !matches!(operation.takes, Content::Raw(_));
        described["requestBody"] = json!({ "required": required, "content": { kind: schema } });
    }
    described
}

fn content(content: Content, generator: &mut SchemaGenerator) -> Option<(String, Value)> {
    match content {
        Content::Nothing => None,
        Content::Raw(kind) => Some((kind.to_owned(), json!({ "schema": { "type": "string" } }))),
        Content::Json(schema) => Some((JSON.to_owned(), json!({ "schema": schema(generator) }))),
    }
}

fn error_reference(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "$ref": "#/components/schemas/Error" })
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message", "field"],
            "properties": {
                "code": { "type": "string", "description": "For programs." },
                "message": { "type": "string", "description": "For people." },
                "field": {
                    "type": ["string", "null"],
                    "description": "The part of the request that is to blame.",
                },
            },
        }},
    })
}

/// The parameters of a path: what stands in braces, each with its schema.
pub fn in_path(path: &str, schema: impl Fn(&str) -> Value) -> impl Iterator<Item = Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    names.map(
        move |name| json!({ "name": name, "in": "path", "required": true, "schema": schema(name) }),
    )
}

/// A parameter that may be left out, behind the question mark (`query`) or in a `header`.
#[must_use]
pub fn optional(place: &str, name: &str, about: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": false, "description": about, "schema": schema })
}
