//! The OpenAPI 3.1 document, made from the operations that the router is made from.
//!
//! By hand and not by a library: those that fit axum read handlers' types or macros beside them, and our handlers read their
//! bodies themselves, as the original does; a second list of routes would have to be kept true.

pub(crate) mod schemas;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Code;
use crate::operation::{Access, Content, Home, Operation};
use crate::routes::V1;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// What every operation that is not open may be refused for.
const EVERYWHERE: &[Code] = &[
    Code::HeaderInvalid,
    Code::Internal,
    Code::NameInvalid,
    Code::Overloaded,
    Code::RouteNotFound,
    Code::Timeout,
];
/// What every operation with a body may be refused for.
const WITH_BODY: &[Code] = &[Code::BodyTooLarge, Code::JsonInvalid, Code::RequestTimeout];

/// `GET /openapi.json`
pub(crate) async fn get(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, JSON)], app.openapi.clone())
}

/// The document as text.
pub(crate) fn document(operations: &[Operation]) -> String {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let method = operation.method.as_str().to_ascii_lowercase();
        let mut add = |path: String| {
            let described = describe(operation, &path, &mut generator);
            paths.entry(path).or_default().insert(method.clone(), described);
        };
        add(operation.path.to_owned());
        if operation.home == Home::Both {
            add(format!("{V1}{}", operation.path));
        }
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Error".to_owned(), schemas::error());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ctlstore executive",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Writes rows, declares tables, and shows who changed what. Paths without /v1 are the original's: their errors are text unless application/json is accepted.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": security_schemes() },
    });
    document.to_string()
}

fn describe(operation: &Operation, path: &str, generator: &mut SchemaGenerator) -> Value {
    let is_v1 = path.starts_with(V1);
    // Of the two paths of an operation, ours has the longer name.
    let twin = is_v1 && operation.home == Home::Both;
    let id = if twin { format!("{}V1", operation.id) } else { operation.id.to_owned() };
    let mut described = json!({
        "operationId": id,
        "summary": operation.about,
        "parameters": parameters(operation, path),
        "responses": responses(operation, is_v1, generator),
    });
    let tag = match operation.access {
        Access::Open => "open",
        Access::Writer => "writer",
        Access::Admin => "admin",
    };
    described["tags"] = json!([tag]);
    match operation.access {
        Access::Open => {}
        Access::Writer => described["security"] = json!([{"writer": [], "secret": []}]),
        Access::Admin => described["security"] = json!([{"adminToken": []}]),
    }
    if let Some(content) = content(operation.takes, generator) {
        // No bytes are bytes, too.
        let required = !matches!(operation.takes, Content::Raw(_));
        described["requestBody"] = json!({ "required": required, "content": content });
    }
    described
}

fn parameters(operation: &Operation, path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = names.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": schemas::segment(name) })
    });
    let in_query = operation.query.iter().map(|(name, most, about)| {
        let least = u64::from(*name == "limit");
        json!({
            "name": name, "in": "query", "required": false, "description": about,
            "schema": { "type": "integer", "minimum": least, "maximum": most },
        })
    });
    let in_header = operation.headers.iter().map(|(name, about)| {
        json!({
            "name": name, "in": "header", "required": false, "description": about,
            "schema": schemas::header(name),
        })
    });
    in_path.chain(in_query).chain(in_header).collect()
}

fn responses(operation: &Operation, is_v1: bool, generator: &mut SchemaGenerator) -> Value {
    let mut success = json!({ "description": "Done." });
    if let Some(content) = content(operation.gives, generator) {
        success["content"] = content;
    }
    if operation.writes {
        success["headers"] = json!({
            "ctlstore-seq": {
                "description": "The sequence of the last entry that was written.",
                "schema": { "type": "integer", "minimum": 1 },
            },
            "ctlstore-position": {
                "description": "That entry, for programs that wait for it.",
                "schema": { "type": "string" },
            },
        });
    }
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success);
    for (status, codes) in refusals(operation) {
        let error = json!({ "schema": { "$ref": "#/components/schemas/Error" } });
        let content = match is_v1 {
            true => json!({ JSON: error }),
            false => json!({ JSON: error, TEXT: { "schema": { "type": "string" } } }),
        };
        let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        let text = format!("Refused: {}.", codes.join(", "));
        let mut refused = json!({ "description": text, "content": content });
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            refused["headers"] = json!({ "retry-after": {
                "description": "Seconds to wait.",
                "schema": { "type": "integer", "minimum": 1 },
            }});
        }
        responses.insert(status.as_u16().to_string(), refused);
    }
    Value::Object(responses)
}

/// The codes of the refusals, by status.
fn refusals(operation: &Operation) -> BTreeMap<StatusCode, BTreeSet<&'static str>> {
    let mut codes: Vec<Code> = operation.refusals.to_vec();
    match operation.access {
        Access::Open => codes.push(Code::Unavailable),
        Access::Writer => codes.push(Code::WriterUnauthorized),
        Access::Admin => codes.push(Code::AdminUnauthorized),
    }
    if operation.access != Access::Open {
        codes.extend(EVERYWHERE);
        codes.extend([Code::Unavailable, Code::Unsure]);
    }
    if !operation.query.is_empty() {
        codes.push(Code::QueryInvalid);
    }
    if operation.writes {
        codes.extend([Code::SchemaBusy, Code::HistoryBehindFleet]);
    }
    if !matches!(operation.takes, Content::Nothing) {
        codes.extend(WITH_BODY);
    }
    let mut refusals: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for code in codes {
        refusals.entry(code.status()).or_default().insert(code.as_str());
    }
    refusals
}

fn content(content: Content, generator: &mut SchemaGenerator) -> Option<Value> {
    match content {
        Content::Nothing => None,
        Content::Raw(kind) => Some(json!({ kind: { "schema": { "type": "string" } } })),
        Content::Json(schema) => Some(json!({ JSON: { "schema": schema(generator) } })),
    }
}

fn security_schemes() -> Value {
    json!({
        "adminToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of --admin-token-file. With --open-admin none is needed.",
        },
        "writer": {
            "type": "apiKey", "in": "header", "name": crate::auth::WRITER,
            "description": "The writer's name.",
        },
        "secret": {
            "type": "apiKey", "in": "header", "name": crate::auth::SECRET,
            "description": "The writer's secret.",
        },
    })
}
