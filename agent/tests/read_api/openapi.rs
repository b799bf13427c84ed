//! The OpenAPI document against what the node does: every operation is asked, well and badly, and each answer is one that the
//! document promises.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::sidecar::{Sidecar, filled};

/// Requests for each operation: method, path, body.
const REQUESTS: &[(&str, &str, &[&str], &str)] = &[
    ("getRowByKey", "POST", &["/get-row-by-key/billing/plans"], r#"{"key":[{"value":"free"}]}"#),
    ("getRowByKey", "POST", &["/get-row-by-key/billing/plans"], r#"{"key":[{"value":"none"}]}"#),
    ("getRowByKey", "POST", &["/get-row-by-key/billing/none"], "{}"),
    ("getRowsByKeyPrefix", "POST", &["/get-rows-by-key-prefix/billing/plans"], "{}"),
    ("getLedgerLatency", "GET", &["/get-ledger-latency"], ""),
    ("getHealth", "GET", &["/healthcheck"], ""),
    ("ping", "GET", &["/ping"], ""),
    (
        "getRow",
        "GET",
        &[
            "/v1/row/billing/plans/free",
            "/v1/row/billing/plans/none",
            "/v1/row/billing/none/x",
            "/v1/row/nobody/plans/x",
            "/v1/row/auth/keys/eu",
            "/v1/row/a__b/keys/eu",
            "/v1/row/billing/plans/%ff",
            "/v1/row/billing/plans/free?columns=x",
            "/v1/row/billing/plans/free?limit=1",
            "/v1/row/billing/plans/free?min-seq=99&wait-ms=1",
            "/v1/row/billing/plans/free?max-lag-ms=0",
        ],
        "",
    ),
    ("listRows", "GET", &["/v1/rows/auth/keys", "/v1/rows/auth/keys?continue=x"], ""),
    ("listRowsByPrefix", "GET", &["/v1/rows/auth/keys/eu", "/v1/rows/auth/keys/eu?limit=0"], ""),
    ("getRows", "POST", &["/v1/rows/auth/keys"], r#"{"keys":[["eu",2]]}"#),
    ("getRows", "POST", &["/v1/rows/auth/keys"], "nonsense"),
    ("getRows", "POST", &["/v1/rows/auth/keys"], r#"{"keys":[["eu"]]}"#),
    ("streamRows", "GET", &["/v1/stream/auth/keys", "/v1/stream/auth/none"], ""),
    ("streamRowsByPrefix", "GET", &["/v1/stream/auth/keys/eu", "/v1/stream/auth/keys/1/2/3"], ""),
    ("getFamilies", "GET", &["/v1/schema"], ""),
    ("getFamilySchema", "GET", &["/v1/schema/auth", "/v1/schema/nobody"], ""),
    ("getTableSchema", "GET", &["/v1/schema/auth/keys", "/v1/schema/auth/none"], ""),
    ("getStatus", "GET", &["/v1/status"], ""),
    ("watch", "GET", &["/v1/watch?after=x", "/v1/watch?after=1"], ""),
    ("getOpenApi", "GET", &["/openapi.json"], ""),
];

#[tokio::test]
async fn the_document_is_whole_and_every_operation_is_driven() {
    let node = Sidecar::start(filled()).await;
    let document = node.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{id}");
            assert!(operation["responses"]["200"].is_object(), "{id}");
            let mine = REQUESTS.iter().filter(|(of, ..)| *of == id);
            let mut driven = 0;
            for (_, verb, targets, body) in mine {
                assert_eq!(verb.to_lowercase(), *method, "{id}");
                for target in *targets {
                    check(&node, operation, &format!("{verb} {target}"), body).await;
                    driven += 1;
                }
            }
            assert!(driven > 0, "nothing drives {method} {path}");
            assert!(ids.insert(id.clone()), "{id} is there twice");
        }
    }
    let known: BTreeSet<_> = REQUESTS.iter().map(|(id, ..)| (*id).to_owned()).collect();
    assert_eq!(ids, known);
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    node.stop().await;
}

async fn check(node: &Sidecar, operation: &Value, request: &str, body: &str) {
    let mut client = Client::connect(node.addr).await;
    let head = client.open(request, &[], body).await;
    let status = head.status().as_u16().to_string();
    let promised = &operation["responses"][&status];
    assert!(promised.is_object(), "{request}: {status} is not promised");
    let kind = head.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if kind == "text/event-stream" {
        return;
    }
    drop(head);
    let answer: Answer = Client::connect(node.addr).await.send(request, &[], body).await;
    match promised.get("content") {
        None => assert!(answer.body.is_empty(), "{request}: {}", answer.text()),
        Some(content) => {
            assert!(content.get(kind).is_some(), "{request}: {kind:?} is not promised")
        }
    }
    if kind == "application/json" && answer.status != 200 {
        let code = answer.code();
        let words = promised["description"].as_str().unwrap();
        assert!(words.contains(&format!("`{code}`")), "{request}: {code} is not among: {words}");
    }
}
