//! Our own routes: single rows, rows of many keys, lists page by page, streams, schemas.

use serde_json::json;

use crate::sidecar::{Sidecar, filled, numbered};

#[tokio::test]
async fn a_row_is_found_by_its_key() {
    let node = Sidecar::start(filled()).await;
    let check = async |path: &str, want: &str| {
        let answer = node.get(path).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, want), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("ctlstore-seq"), Some("5"));
        assert!(answer.header("ctlstore-lag-ms").unwrap().parse::<u64>().is_ok());
    };
    let large =
        r#"{"zone":"eu","id":9223372036854775807,"key":"AP8=","ratio":10.0,"note":"a \"b\" <ü>"}"#;
    check("/v1/row/auth/keys/eu/9223372036854775807", large).await;
    check("/v1/row/AUTH/Keys/eu/9223372036854775807", large).await;
    let strings = large.replace("9223372036854775807", "\"9223372036854775807\"");
    check("/v1/row/auth/keys/eu/9223372036854775807?int64=string", &strings).await;
    check("/v1/row/auth/keys/us/-1?columns=id,note", r#"{"id":-1,"note":"x\u0000y"}"#).await;
    for bytes in ["ab", "0x6162", "%61b"] {
        check(&format!("/v1/row/auth/blobs/{bytes}"), r#"{"k":"YWI="}"#).await;
    }
    let missing = node.get("/v1/row/auth/keys/eu/3").await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "row_not_found"));
    assert_eq!(missing.header("ctlstore-seq"), Some("5"));
    let head = crate::client::ask(node.addr, "HEAD /v1/row/auth/keys/eu/2", "").await;
    assert_eq!((head.status, head.body.is_empty()), (200, true));
    node.stop().await;
}

#[tokio::test]
async fn rows_of_many_keys_come_in_the_order_of_the_keys() {
    let node = Sidecar::start(filled()).await;
    let body = json!({"keys": [["us", -1], ["eu", 3], ["eu", "2"], ["us", -1]]}).to_string();
    let answer = node.post("/v1/rows/auth/keys?columns=zone,id", &body).await;
    let us = json!({"zone": "us", "id": -1});
    let want = json!({"rows": [us, null, {"zone": "eu", "id": 2}, us]});
    assert_eq!((answer.status, answer.json()), (200, want));
    let blobs = node.post("/v1/rows/auth/blobs", r#"{"keys":[["YWI="]]}"#).await;
    assert_eq!(blobs.text(), r#"{"rows":[{"k":"YWI="}]}"#);
    assert_eq!(node.post("/v1/rows/auth/keys", r#"{"keys":[]}"#).await.text(), r#"{"rows":[]}"#);
    node.stop().await;
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended() {
    let node = Sidecar::start(numbered(1001)).await;
    for (path, count) in
        [("/v1/rows/many/rows", 1001), ("/v1/rows/many/rows/odd", 500), ("/v1/rows/many/rows/x", 0)]
    {
        let (mut seen, mut next) = (Vec::new(), String::new());
        loop {
            let answer = node.get(&format!("{path}?limit=97{next}")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            seen.extend(page["rows"].as_array().unwrap().clone());
            match page["continue"].as_str() {
                Some(token) => next = format!("&continue={token}"),
                None => break,
            }
            assert_eq!(seen.len() % 97, 0);
        }
        assert_eq!(seen.len(), count, "{path}");
        let sorted = seen.is_sorted_by_key(|row| {
            (row["group"].as_str().unwrap().to_owned(), row["n"].as_i64().unwrap())
        });
        assert!(sorted, "{path}");
    }
    // Without a limit there is one, and a last page that is just full has no next.
    let all = node.get("/v1/rows/many/rows").await.json();
    assert_eq!((all["rows"].as_array().unwrap().len(), all["continue"].is_string()), (1000, true));
    let exact = node.get("/v1/rows/many/rows/odd?limit=500").await.json();
    assert_eq!((exact["rows"].as_array().unwrap().len(), exact["continue"].is_null()), (500, true));
    node.stop().await;
}

#[tokio::test]
async fn a_large_answer_is_streamed_a_row_a_line() {
    let node = Sidecar::start(numbered(30_000)).await;
    let answer = node.get("/v1/stream/many/rows").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    assert_eq!(answer.header("content-length"), None);
    let text = answer.text();
    assert!(text.ends_with("}\n"));
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 30_000);
    let mut numbers: Vec<_> = rows.iter().map(|row| row["n"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..30_000));
    assert_eq!(node.get("/v1/stream/many/rows/odd").await.text().lines().count(), 15_000);
    assert_eq!(node.get("/v1/stream/many/rows/nothing").await.text(), "");
    // The original's list is as long.
    let list = node.post("/get-rows-by-key-prefix/many/rows", "{}").await.json();
    assert_eq!(list.as_array().unwrap().len(), 30_000);
    node.stop().await;
}

#[tokio::test]
async fn schemas_have_the_words_of_the_write_api() {
    let node = Sidecar::start(filled()).await;
    assert_eq!(node.get("/v1/schema").await.json(), json!({"families": ["auth", "billing"]}));
    let plans = json!({
        "family": "billing", "name": "plans", "fields": [["id", "string"]], "keyFields": ["id"],
    });
    assert_eq!(node.get("/v1/schema/billing").await.json(), json!({"tables": [plans]}));
    assert_eq!(node.get("/v1/schema/Billing/PLANS").await.json(), plans);
    let keys = node.get("/v1/schema/auth/keys").await.json();
    assert_eq!(keys["keyFields"], json!(["zone", "id"]));
    assert_eq!(keys["fields"][2], json!(["key", "bytestring"]));
    node.stop().await;
}

#[tokio::test]
async fn a_key_may_be_empty_or_have_slashes() {
    let node = Sidecar::start(filled()).await;
    for id in ["", "a/b", "ü %"] {
        node.test.insert("billing", "plans", &[::ledger::Value::Text(id.into())]).unwrap();
    }
    for path in ["", "a%2Fb", "%C3%BC%20%25"] {
        let answer = node.get(&format!("/v1/row/billing/plans/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    node.stop().await;
}
