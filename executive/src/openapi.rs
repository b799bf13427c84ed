//! The OpenAPI 3.1 document, made from the operations that the router is made from.

pub(crate) mod schemas;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use daemon::openapi::{Answered, Api, Described, in_path, optional, refusals};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Code;
use crate::operation::{Access, Content, Home, Operation};
use crate::routes::V1;

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
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone())
}

/// The document as text.
pub(crate) fn document(operations: &[Operation]) -> String {
    let api = Api {
        title: "ctlstore executive",
        about: "Writes rows, declares tables, and shows who changed what. Paths without /v1 are the original's: their errors are text unless application/json is accepted.",
        version: env!("CARGO_PKG_VERSION"),
    };
    let described = operations.iter().flat_map(|operation| {
        let twin = (operation.home == Home::Both).then(|| format!("{V1}{}", operation.path));
        let paths = [Some(operation.path.to_owned()), twin].into_iter().flatten();
        paths.map(|path| describe(operation, path))
    });
    daemon::openapi::document(api, &security_schemes(), described)
}

fn describe(operation: &Operation, path: String) -> Described {
    let is_v1 = path.starts_with(V1);
    // Of the two paths of an operation, ours has the longer name.
    let twin = is_v1 && operation.home == Home::Both;
    let (tag, security) = match operation.access {
        Access::Open => ("open", None),
        Access::Writer => ("writer", Some(json!([{"writer": [], "secret": []}]))),
        Access::Admin => ("admin", Some(json!([{"adminToken": []}]))),
    };
    let codes = codes(operation).into_iter().map(|code| (code.status(), code.as_str()));
    let mut answers = refusals(codes, !is_v1);
    let mut done = Answered::done(operation.gives);
    if operation.writes {
        done.headers = place_headers();
    }
    answers.insert(StatusCode::OK, done);
    Described {
        method: operation.method.clone(),
        id: if twin { format!("{}V1", operation.id) } else { operation.id.to_owned() },
        about: operation.about,
        tag,
        security,
        parameters: parameters(operation, &path),
        takes: operation.takes,
        answers,
        path,
    }
}

fn parameters(operation: &Operation, path: &str) -> Vec<Value> {
    let in_query = operation.query.iter().map(|(name, most, about)| {
        let least = u64::from(*name == "limit");
        let schema = json!({ "type": "integer", "minimum": least, "maximum": most });
        optional("query", name, about, &schema)
    });
    let in_header = operation
        .headers
        .iter()
        .map(|(name, about)| optional("header", name, about, &schemas::header(name)));
    in_path(path, schemas::segment).chain(in_query).chain(in_header).collect()
}

/// Of the answer to a request that wrote.
fn place_headers() -> Map<String, Value> {
    let seq = json!({
        "description": "The sequence of the last entry that was written.",
        "schema": { "type": "integer", "minimum": 1 },
    });
    let position = json!({
        "description": "That entry, for programs that wait for it.",
        "schema": { "type": "string" },
    });
    [("ctlstore-seq".to_owned(), seq), ("ctlstore-position".to_owned(), position)]
        .into_iter()
        .collect()
}

/// What it may be refused for.
fn codes(operation: &Operation) -> Vec<Code> {
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
    codes
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
