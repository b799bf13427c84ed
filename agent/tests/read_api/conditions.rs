//! Reading one's own write, refusing what is too old, and what every answer tells.

use std::time::Duration;

use ::ledger::Value;

use crate::client::Client;
use crate::sidecar::{Sidecar, filled};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_ones_own_write() {
    let node = Sidecar::start(filled()).await;
    let mut client = Client::connect(node.addr).await;
    let waiting = tokio::spawn(async move {
        client.send("GET /v1/row/billing/plans/team?min-seq=6", &[], "").await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "it did not wait");
    node.test.insert("billing", "plans", &[Value::Text("team".into())]).unwrap();
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"id":"team"}"#));
    assert_eq!(answer.header("ctlstore-seq"), Some("6"));
    // There already.
    for path in ["/v1/row/billing/plans/team", "/v1/rows/billing/plans", "/v1/stream/billing/plans"]
    {
        assert_eq!(node.get(&format!("{path}?min-seq=6")).await.status, 200, "{path}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_sequence_of_the_future_is_refused_after_a_bounded_wait() {
    let node = Sidecar::start(filled()).await;
    let answer = node.get("/v1/row/billing/plans/free?min-seq=99&wait-ms=50").await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "not_reached"));
    let text = answer.text();
    assert!(text.contains("did not reach 99 within 50ms: it is at 5"), "{text}");
    let mark = format!("legacy.3.{}", "7".repeat(64));
    let path = format!("/v1/row/billing/plans/free?min-position={mark}&wait-ms=10");
    // An LDB without history and digest cannot tell one way from another.
    assert_eq!(node.get(&path).await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn what_is_too_old_is_refused_with_the_lag() {
    let node = Sidecar::start(filled()).await;
    for path in ["/v1/row/billing/plans/free", "/v1/rows/billing/plans", "/v1/stream/billing/plans"]
    {
        assert_eq!(node.get(&format!("{path}?max-lag-ms=600000")).await.status, 200, "{path}");
    }
    node.test.sql("UPDATE _ldb_last_update SET timestamp = '2020-01-01 00:00:00+00:00'").unwrap();
    for path in ["/v1/row/billing/plans/free", "/v1/rows/billing/plans", "/v1/stream/billing/plans"]
    {
        let answer = node.get(&format!("{path}?max-lag-ms=600000")).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "too_far_behind"), "{path}");
        assert!(answer.text().contains("behind and may be 600s"), "{}", answer.text());
        assert!(answer.header("ctlstore-lag-ms").unwrap().parse::<u64>().unwrap() > 600_000);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(node.get(path).await.status, 200);
    }
    node.stop().await;
}

#[tokio::test]
async fn every_answer_says_where_the_ldb_stands() {
    let node = Sidecar::start(filled()).await;
    for request in [
        "GET /v1/schema",
        "GET /v1/status",
        "GET /openapi.json",
        "GET /ping",
        "GET /get-ledger-latency",
        "GET /nothing",
        "GET /v1/row/auth/keys/eu/404",
        "POST /get-row-by-key/auth/keys",
    ] {
        let answer = crate::client::ask(node.addr, request, "").await;
        assert_eq!(answer.header("ctlstore-seq"), Some("5"), "{request}");
        assert!(answer.header("ctlstore-lag-ms").is_some(), "{request}");
    }
    node.stop().await;
}
