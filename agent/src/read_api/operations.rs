//! The operations of the API, all of them: the router and the OpenAPI document are made from this list.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::handler::Handler;
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use daemon::openapi::{
    Answered, Api, Content, Described, document, in_path, of, optional, refusals,
};
use ledger::Seq;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::read_api::app::App;
use crate::read_api::error::Code;
use crate::read_api::rows::{LIMIT, MAX_KEYS, MAX_LIMIT};
use crate::read_api::stream::NDJSON;
use crate::read_api::watch::EVENTS;
use crate::read_api::{original, row, rows, schema, status, stream, watch};

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone: health and the description.
    Open,
    /// Over TCP, whoever bears a token, where tokens are asked for.
    Guarded,
}

/// An operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) access: Access,
    /// As the document writes it.
    pub(crate) path: &'static str,
    pub(crate) handler: MethodRouter<App>,
    described: Described,
}

const GET: (MethodFilter, Method) = (MethodFilter::GET, Method::GET);
const POST: (MethodFilter, Method) = (MethodFilter::POST, Method::POST);
const TEXT: Content = Content::Raw("text/plain");

/// What every guarded operation of ours may be refused for.
const EVERYWHERE: &[Code] = &[
    Code::Internal,
    Code::NameInvalid,
    Code::Overloaded,
    Code::PathInvalid,
    Code::QueryInvalid,
    Code::RouteNotFound,
    Code::Unauthorized,
    Code::Unavailable,
];
/// What reads of rows may be refused for.
const ROWS: &[Code] = &[
    Code::ColumnUnknown,
    Code::FamilyNotFound,
    Code::KeyInvalid,
    Code::NotReached,
    Code::OtherHistory,
    Code::TableNotFound,
    Code::TooFarBehind,
];

/// All operations.
pub(crate) fn operations() -> Vec<Operation> {
    [originals(), reading(), telling()].concat()
}

fn originals() -> Vec<Operation> {
    vec![
        Operation::original(POST, "/get-row-by-key/{family}/{table}", original::row)
            .called("getRowByKey", "The row of a key, as the original's sidecar gives it.")
            .takes(Content::Json(original_key))
            .gives(Content::Json(anything))
            .else_answers(404, "No such row; X-Ctlstore: Not Found.", Content::Nothing),
        Operation::original(POST, "/get-rows-by-key-prefix/{family}/{table}", original::rows)
            .called("getRowsByKeyPrefix", "The rows whose key begins so; all without a key.")
            .takes(Content::Json(original_key))
            .gives(Content::Json(list_of_rows))
            .else_answers(416, "More rows than --read-max-rows.", Content::Nothing),
        Operation::original(GET, "/get-ledger-latency", original::latency)
            .called("getLedgerLatency", "The age of the newest entry applied.")
            .gives(Content::Json(anything)),
        Operation::original(GET, "/healthcheck", original::health)
            .called("getHealth", "200 once an entry was applied.")
            .gives(Content::Nothing)
            .else_answers(500, "No entry was applied yet.", Content::Nothing)
            .open(),
        Operation::original(GET, "/ping", original::health)
            .called("ping", "200 once an entry was applied.")
            .gives(Content::Nothing)
            .else_answers(500, "No entry was applied yet.", Content::Nothing)
            .open(),
    ]
}

fn reading() -> Vec<Operation> {
    const TABLE: &str = "/v1/rows/{family}/{table}";
    vec![
        Operation::of_rows(GET, "/v1/row/{family}/{table}/{key}", row::get)
            .called("getRow", "The row of a key.")
            .gives(Content::Json(anything))
            .refuses(&[Code::RowNotFound]),
        Operation::of_rows(GET, TABLE, rows::list)
            .called("listRows", "The rows of a table in the order of the key, page by page.")
            .page()
            .gives(Content::Json(page)),
        Operation::of_rows(GET, "/v1/rows/{family}/{table}/{key}", rows::list)
            .called("listRowsByPrefix", "The rows whose key begins so, page by page.")
            .page()
            .gives(Content::Json(page)),
        Operation::of_rows(POST, TABLE, rows::by_keys)
            .called("getRows", "The rows of many keys, of one state; null for a key without a row.")
            .takes(Content::Json(keys))
            .gives(Content::Json(rows_by_keys))
            .refuses(&[
                Code::AnswerTooLarge,
                Code::BodyTooLarge,
                Code::BodyUnreadable,
                Code::JsonInvalid,
                Code::RequestTimeout,
                Code::TooManyKeys,
            ]),
        Operation::of_rows(GET, "/v1/stream/{family}/{table}", stream::get)
            .called("streamRows", "All rows of a table, a line each.")
            .gives(Content::Raw(NDJSON)),
        Operation::of_rows(GET, "/v1/stream/{family}/{table}/{key}", stream::get)
            .called("streamRowsByPrefix", "The rows whose key begins so, a line each.")
            .gives(Content::Raw(NDJSON)),
    ]
}

fn telling() -> Vec<Operation> {
    let found = &[Code::FamilyNotFound, Code::TableNotFound];
    vec![
        Operation::new(GET, "/v1/schema", schema::families)
            .called("getFamilies", "The families that are served.")
            .gives(Content::Json(of::<schema::Families>)),
        Operation::new(GET, "/v1/schema/{family}", schema::family)
            .called("getFamilySchema", "The tables of a family.")
            .gives(Content::Json(of::<schema::Tables>))
            .refuses(found),
        Operation::new(GET, "/v1/schema/{family}/{table}", schema::table)
            .called("getTableSchema", "The columns and the key of a table.")
            .gives(Content::Json(of::<schema::Table>))
            .refuses(found),
        Operation::new(GET, "/v1/status", status::get)
            .called("getStatus", "How the node is: where it stands, and how far behind.")
            .gives(Content::Json(anything)),
        Operation::new(GET, "/v1/watch", watch::get)
            .called("watch", "What changes, as it changes: server-sent events.")
            .query(watch_query())
            .gives(Content::Raw(EVENTS))
            .refuses(&[Code::FamilyNotFound, Code::TooManyWatchers]),
        Operation::new(GET, "/openapi.json", openapi)
            .called("getOpenApi", "This document.")
            .gives(Content::Json(anything))
            .open(),
    ]
}

async fn openapi(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, row::JSON)], app.openapi.clone())
}

impl Operation {
    fn new<H, T>((filter, method): (MethodFilter, Method), path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let described = Described {
            method,
            path: path.to_owned(),
            id: String::new(),
            about: "",
            tag: "ours",
            security: Some(json!([{ "token": [] }, {}])),
            parameters: in_path(path, segment).collect(),
            takes: Content::Nothing,
            answers: BTreeMap::new(),
        };
        let new = Self { access: Access::Guarded, path, handler: on(filter, handler), described };
        new.refuses(EVERYWHERE)
    }

    /// One that reads rows, on conditions.
    fn of_rows<H, T>(method: (MethodFilter, Method), path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(method, path, handler).refuses(ROWS).query(rows_query())
    }

    /// One of the original's, whose refusals are text.
    fn original<H, T>(method: (MethodFilter, Method), path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let mut new = Self::new(method, path, handler);
        new.described.tag = "original";
        new.described.answers.clear();
        new.else_answers(500, "Whatever is wrong, as text.", TEXT)
            .else_answers(401, "A token is asked for, and none was shown.", TEXT)
            .else_answers(503, "Too many requests in hand.", TEXT)
    }

    fn called(mut self, id: &'static str, about: &'static str) -> Self {
        (self.described.id, self.described.about) = (id.to_owned(), about);
        self
    }

    fn open(mut self) -> Self {
        self.access = Access::Open;
        self.described.security = None;
        self
    }

    fn takes(mut self, content: Content) -> Self {
        self.described.takes = content;
        self
    }

    fn gives(mut self, content: Content) -> Self {
        let done = Answered { headers: stamps(), ..Answered::done(content) };
        self.described.answers.insert(StatusCode::OK, done);
        self
    }

    fn else_answers(mut self, status: u16, about: &str, content: Content) -> Self {
        let status = StatusCode::from_u16(status).expect("BUG: a status of HTTP");
        self.described.answers.insert(status, Answered::other(about, content));
        self
    }

    fn query(mut self, parameters: Vec<Value>) -> Self {
        self.described.parameters.extend(parameters);
        self
    }

    /// With a limit, and a way to go on.
    fn page(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT });
        let about = format!("at most so many rows; {LIMIT} when it is absent");
        let token = "where to go on: `continue` of the answer before";
        self.refuses(&[Code::ContinueInvalid]).query(vec![
            optional("query", "limit", &about, &limit),
            optional("query", "continue", token, &json!({ "type": "string" })),
        ])
    }

    fn refuses(mut self, codes: &[Code]) -> Self {
        for (status, refused) in refusals(codes.iter().map(|c| (c.status(), c.as_str())), false) {
            let answers = &mut self.described.answers;
            match answers.get_mut(&status) {
                // Both name codes; of one status there may be several.
                Some(known) => {
                    let more = refused.about.trim_start_matches("Refused: ");
                    known.about = format!("{}, {more}", known.about.trim_end_matches('.'));
                }
                None => drop(answers.insert(status, refused)),
            }
        }
        self
    }
}

/// The document as text.
pub(crate) fn openapi_document(operations: &[Operation]) -> String {
    let api = Api {
        title: "ctlstore node",
        about: "Reads rows of this node's LDB, and tells what changes. Paths without /v1 are those of the original's sidecar.",
        version: env!("CARGO_PKG_VERSION"),
    };
    let about = "A token of --read-token-file, over TCP. Without that flag none is needed.";
    let schemes = json!({
        "token": { "type": "http", "scheme": "bearer", "description": about },
    });
    document(api, &schemes, operations.iter().map(|operation| operation.described.clone()))
}

/// Headers of every answer.
fn stamps() -> Map<String, Value> {
    let number = |about: &str| json!({ "description": about, "schema": { "type": "integer", "minimum": 0 } });
    let seq = number("A sequence that the answer has passed.");
    let lag = number("The age of the newest entry applied, in milliseconds.");
    [("ctlstore-seq".to_owned(), seq), ("ctlstore-lag-ms".to_owned(), lag)].into_iter().collect()
}

fn rows_query() -> Vec<Value> {
    let number = json!({ "type": "integer", "minimum": 0, "maximum": Seq::MAX.get() });
    let text = json!({ "type": "string" });
    let int64 = json!({ "type": "string", "enum": ["number", "string"] });
    let wait = json!({ "type": "integer", "minimum": 0, "maximum": 60_000 });
    let of = |name, about, schema: &Value| optional("query", name, about, schema);
    vec![
        of("columns", "only these, with commas between", &text),
        of("int64", "how integers are written; number when it is absent", &int64),
        of("min-seq", "waits until the LDB has this sequence", &number),
        of("min-position", "waits for this value of a header ctlstore-position", &text),
        of("wait-ms", "how long to wait for them; --read-timeout when it is absent", &wait),
        of("max-lag-ms", "refuses when the newest entry is older", &number),
    ]
}

fn watch_query() -> Vec<Value> {
    let number = json!({ "type": "integer", "minimum": 0, "maximum": Seq::MAX.get() });
    let flag = json!({ "type": "string", "enum": ["true", "false"] });
    let of = |name, about, schema: &Value| optional("query", name, about, schema);
    vec![
        of("after", "the sequence before the first event; from now on when it is absent", &number),
        of("changes", "true: tell each change, too", &flag),
        of("family", "changes of this family only; may come several times", &segment("family")),
        of("table", "changes of tables of this name only", &segment("table")),
    ]
}

/// A parameter of a path.
fn segment(name: &str) -> Value {
    let short = |max: u32| {
        let pattern = "^[A-Za-z](_?[A-Za-z0-9])*_?$";
        json!({ "type": "string", "pattern": pattern, "minLength": 3, "maxLength": max })
    };
    match name {
        "family" => short(30),
        "table" => short(50),
        _ => {
            let about = "One segment for each value, in the key's order; bytes as text, or as 0x and hexadecimal digits.";
            json!({ "type": "string", "minLength": 1, "description": about })
        }
    }
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

fn list_of_rows(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "object" } })
}

fn page(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["rows", "continue"],
        "properties": {
            "rows": { "type": "array", "items": { "type": "object" } },
            "continue": { "type": ["string", "null"], "description": "Where to go on; null at the end." },
        },
    })
}

fn rows_by_keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["rows"],
        "properties": { "rows": { "type": "array", "items": { "type": ["object", "null"] } } },
    })
}

fn keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["keys"],
        "additionalProperties": false,
        "properties": { "keys": {
            "type": "array",
            "maxItems": MAX_KEYS,
            "items": { "type": "array", "items": { "type": ["string", "integer"] } },
            "description": "Each is the values of a key, in its order: as rows have them, bytes in base64.",
        } },
    })
}

fn original_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "key": { "type": ["array", "null"], "items": {
            "type": "object",
            "properties": { "value": {}, "binary": { "type": ["string", "null"], "contentEncoding": "base64" } },
        } } },
    })
}
