//! What bounds requests, and how answers are compressed.

use std::io::Read as _;
use std::time::Duration;

use ::agent::args::ServeArgs;

use crate::client::{Client, SOON, ask};
use crate::sidecar::{Sidecar, filled, numbered};

#[tokio::test]
async fn too_much_in_one_request_is_413() {
    let node = Sidecar::start(filled()).await;
    let keys = vec![r#"["eu",2]"#; 1001].join(",");
    let answer = node.post("/v1/rows/auth/keys", &format!("{{\"keys\":[{keys}]}}")).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_many_keys"));
    assert!(answer.text().contains("at most 1000"), "{}", answer.text());
    let answer = node.post("/v1/rows/auth/keys", &" ".repeat((1 << 20) + 1)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    node.stop().await;
}

#[tokio::test]
async fn answers_have_a_size() {
    let serve = ServeArgs { read_max_bytes: 1000, ..ServeArgs::default() };
    let node = Sidecar::serving(numbered(1000), serve).await;
    // A list is cut into more pages.
    let page = node.get("/v1/rows/many/rows?limit=1000").await;
    assert!(page.body.len() < 1200 && page.json()["continue"].is_string(), "{}", page.text());
    let keys = vec![r#"["odd",1]"#; 100].join(",");
    let answer = node.post("/v1/rows/many/rows", &format!("{{\"keys\":[{keys}]}}")).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "answer_too_large"));
    // The original's list has no bound.
    let list = node.post("/get-rows-by-key-prefix/many/rows", "{}").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1000);
    node.stop().await;
}

#[tokio::test]
async fn more_requests_than_places_are_refused_and_health_is_not() {
    let serve = ServeArgs { read_max_in_flight: 1, ..ServeArgs::default() };
    let node = Sidecar::serving(filled(), serve).await;
    let addr = node.addr;
    let waiting = tokio::spawn(async move {
        ask(addr, "GET /v1/rows/auth/keys?min-seq=99&wait-ms=3000", "").await
    });
    testkit::eventually(SOON, async || {
        let answer = node.get("/v1/row/billing/plans/free").await;
        anyhow::ensure!((answer.status, answer.code().as_str()) == (503, "overloaded"));
        anyhow::ensure!(answer.header("retry-after") == Some("1"));
        Ok(())
    })
    .await
    .unwrap();
    let original = node.post("/get-row-by-key/auth/keys", "{}").await;
    assert_eq!((original.status, original.text().ends_with('\n')), (503, true));
    assert_eq!(node.get("/ping").await.status, 200);
    assert_eq!(waiting.await.unwrap().status, 504);
    assert_eq!(node.get("/v1/row/billing/plans/free").await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let serve = ServeArgs { read_timeout: Duration::from_millis(200), ..ServeArgs::default() };
    let node = Sidecar::serving(filled(), serve).await;
    let mut stream = tokio::net::TcpStream::connect(node.addr).await.unwrap();
    let head = "POST /v1/rows/auth/keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{";
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    node.stop().await;
}

#[tokio::test]
async fn answers_are_compressed_as_the_client_takes_them() {
    let node = Sidecar::start(numbered(5000)).await;
    let mut client = Client::connect(node.addr).await;
    for path in ["GET /v1/stream/many/rows", "GET /v1/rows/many/rows?limit=5000"] {
        let plain = client.send(path, &[], "").await;
        assert_eq!(plain.header("content-encoding"), None);
        let gzip = client.send(path, &[("accept-encoding", "gzip")], "").await;
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&*gzip.body).read_to_end(&mut text).unwrap();
        assert!(text == plain.body && gzip.body.len() * 4 < text.len());
        let zstd = client.send(path, &[("accept-encoding", "gzip;q=0.5, zstd")], "").await;
        assert_eq!(zstd.header("content-encoding"), Some("zstd"));
        assert!(zstd::decode_all(&*zstd.body).unwrap() == plain.body);
        let unknown = client.send(path, &[("accept-encoding", "br, gzip;q=0")], "").await;
        assert_eq!(unknown.header("content-encoding"), None);
    }
    let small = client.send("GET /v1/schema", &[("accept-encoding", "gzip")], "").await;
    assert_eq!(small.header("content-encoding"), None);
    node.stop().await;
}
