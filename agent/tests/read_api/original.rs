//! The documented requests and answers of the original's sidecar, good and bad.

use ::agent::args::ServeArgs;
use reader::testing::TestLdb;

use crate::sidecar::{Sidecar, filled};

#[tokio::test]
async fn rows_are_answered_as_the_original_does() {
    let node = Sidecar::start(filled()).await;
    let check = async |path: &str, body: &str, status: u16, want: &str| {
        let answer = node.post(path, body).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, want), "{path} {body}");
        answer
    };
    let (row, rows) = ("/get-row-by-key/auth/keys", "/get-rows-by-key-prefix/Auth/KEYS");
    let large =
        r#"{"id":9223372036854775807,"key":"AP8=","note":"a \"b\" <ü>","ratio":10,"zone":"eu"}"#;
    let small = r#"{"id":2,"key":null,"note":"","ratio":0.5,"zone":"eu"}"#;
    let us = r#"{"id":-1,"key":"YWI=","note":"x\u0000y","ratio":1e+300,"zone":"us"}"#;
    let found = check(row, r#"{"Key":[{"Value":"eu"},{"Value":9223372036854775807}]}"#, 200, large);
    assert_eq!(found.await.header("content-type"), Some("application/json"));
    // Names in any case, and numbers in any form.
    check(row, r#"{"key":[{"value":"eu"},{"VALUE":2.0}]}"#, 200, small).await;
    check(row, r#"{"key":[{"value":"eu"},{"value":"2"}]}"#, 200, small).await;
    check(row, r#"{"key":[{"value":"eu"},{"value":2}],"unknown":1}"#, 200, small).await;
    check(rows, r#"{"key":[{"value":"us"}]}"#, 200, &format!("[{us}]")).await;
    check(rows, r#"{"key":[{"value":"eu"}]}"#, 200, &format!("[{small},{large}]")).await;
    check(rows, r#"{"key":[{"value":"eu"},{"value":2}]}"#, 200, &format!("[{small}]")).await;
    // No key is the whole table.
    let all = format!("[{small},{large},{us}]");
    for none in [r#"{"key":[]}"#, r#"{"Key":null}"#, "{}"] {
        check(rows, none, 200, &all).await;
    }
    // Nothing found: a list is empty, a single row is 404 with a header and no body.
    check(rows, r#"{"key":[{"value":"nowhere"}]}"#, 200, "[]").await;
    for key in [r#"{"value":3}"#, r#"{"value":1.5}"#, r#"{"value":null}"#, r#"{"value":"x"}"#] {
        let body = format!(r#"{{"key":[{{"value":"eu"}},{key}]}}"#);
        let missing = check(row, &body, 404, "").await;
        assert_eq!(missing.header("x-ctlstore"), Some("Not Found"));
    }
    // Binary wins where it is not null, and text finds bytes.
    for key in [
        r#"{"Binary":"YWI="}"#,
        r#"{"Value":"ab"}"#,
        r#"{"Value":1,"Binary":"YWI="}"#,
        r#"{"Value":"ab","Binary":null}"#,
    ] {
        check(
            "/get-row-by-key/auth/blobs",
            &format!(r#"{{"Key":[{key}]}}"#),
            200,
            r#"{"k":"YWI="}"#,
        )
        .await;
    }
    node.stop().await;
}

#[tokio::test]
async fn every_failure_is_a_500_with_a_line_of_text() {
    let node = Sidecar::start(filled()).await;
    let (row, rows) = ("/get-row-by-key/auth/keys", "/get-rows-by-key-prefix/auth/keys");
    for (path, body, words) in [
        (row, r#"{"key":[{"value":"eu"}]}"#, "give a value for \"id\""),
        (row, r#"{"key":[]}"#, "0 key values"),
        (row, r#"{"key":[{"value":"eu"},{"value":1},{"value":1}]}"#, "too many"),
        (rows, r#"{"key":[{"value":"eu"},{"value":1},{"value":1}]}"#, "too many"),
        (row, r#"{"key":[{"value":"eu"},{"binary":"AP8="}]}"#, "takes an integer, not bytes"),
        (row, r#"{"key":[{"binary":"?"}]}"#, "not standard base64"),
        (row, "not json", "the body is not JSON"),
        (row, "", "the body is not JSON"),
        (rows, "[]", "the body is not of the form"),
        (rows, r#"{"key":7}"#, "the body is not of the form"),
        ("/get-row-by-key/auth/none", r#"{"key":[]}"#, "no table auth___none"),
        ("/get-row-by-key/nobody/keys", r#"{"key":[]}"#, "no family nobody"),
        ("/get-row-by-key/a__b/keys", r#"{"key":[]}"#, "amily"),
    ] {
        let answer = node.post(path, body).await;
        assert_eq!(answer.status, 500, "{path} {body}: {}", answer.text());
        let text = answer.text();
        assert!(text.contains(words) && text.ends_with('\n'), "{path} {body}: {text}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    node.stop().await;
}

#[tokio::test]
async fn more_rows_than_allowed_are_416_and_as_many_are_not() {
    for (max, status) in [(0, 200), (4, 200), (3, 200), (2, 416), (1, 416)] {
        let serve = ServeArgs { read_max_rows: max, ..ServeArgs::default() };
        let node = Sidecar::serving(filled(), serve).await;
        let answer = node.post("/get-rows-by-key-prefix/auth/keys", "{}").await;
        assert_eq!(answer.status, status, "{max}: {}", answer.text());
        assert_eq!(answer.body.is_empty(), status == 416, "{max}");
        node.stop().await;
    }
}

#[tokio::test]
async fn latency_and_health_wait_for_the_first_entry() {
    let empty = Sidecar::start(TestLdb::new().unwrap()).await;
    let latency = empty.get("/get-ledger-latency").await;
    let want = "get ledger latency: no ledger updates have been received yet\n";
    assert_eq!((latency.status, latency.text().as_str()), (500, want));
    assert_eq!(
        (empty.get("/ping").await.status, empty.get("/healthcheck").await.status),
        (500, 500)
    );
    empty.stop().await;

    let node = Sidecar::start(filled()).await;
    for path in ["/ping", "/healthcheck"] {
        let answer = node.get(path).await;
        assert_eq!((answer.status, answer.body.is_empty()), (200, true), "{path}");
    }
    let latency = node.get("/get-ledger-latency").await.json();
    assert_eq!(latency["unit"], "seconds");
    assert!(latency["value"].as_f64().unwrap() >= 0.0);
    // However old it is: health does not judge the lag.
    node.test.sql("UPDATE _ldb_last_update SET timestamp = '2020-01-01 00:00:00+00:00'").unwrap();
    assert_eq!(node.get("/ping").await.status, 200);
    assert!(node.get("/get-ledger-latency").await.json()["value"].as_f64().unwrap() > 1e8);
    node.stop().await;
}
