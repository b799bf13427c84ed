//! The operations of the API, all of them: the router and the OpenAPI document are made from this list.

mod operation;
mod schemas;

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use axum::routing::MethodFilter;
use daemon::openapi::{Api, Content, document, of};
use serde_json::json;

use crate::read_api::app::App;
use crate::read_api::error::Code;
pub(crate) use crate::read_api::operations::operation::{Access, Operation};
use crate::read_api::operations::schemas::{
    anything, keys, latency, list_of_rows, original_key, page, rows_by_keys, watch_query,
};
use crate::read_api::stream::NDJSON;
use crate::read_api::watch::EVENTS;
use crate::read_api::{original, row, rows, schema, status, stream, watch};

const GET: (MethodFilter, Method) = (MethodFilter::GET, Method::GET);
const POST: (MethodFilter, Method) = (MethodFilter::POST, Method::POST);

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
            .gives(Content::Json(latency)),
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
