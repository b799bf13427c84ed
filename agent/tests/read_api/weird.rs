//! Whatever bytes come, the node answers in its own words or closes the connection, and serves the next client.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::client::SOON;
use crate::sidecar::{Sidecar, filled};

/// Requests that are sound but for what replaces the `@`.
const SOUND: &[&str] = &[
    "GET /v1/row/auth/keys/eu/@ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/row/@/keys/eu/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/rows/auth/@?limit=3 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/rows/auth/keys/eu?continue=@ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/rows/auth/keys?@ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/stream/auth/blobs/0x@ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/schema/@ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/watch?after=x&table=@ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET @ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "@ /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "GET /v1/schema HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: @\r\n\r\n",
    "GET /v1/schema HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: @\r\n\r\n",
    "POST /v1/rows/auth/keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 12\r\n\r\n@            ",
    "POST /v1/rows/auth/keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 26\r\n\r\n{\"keys\":[[\"eu\",@]]}            ",
    "POST /get-row-by-key/auth/keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 40\r\n\r\n{\"key\":[{\"value\":\"eu\"},{\"value\":@}]}             ",
];

/// What may stand for the `@`.
fn filling() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&str] = &[
        "",
        "%00",
        "%ff%fe",
        "%",
        "%2",
        "%2F..%2F",
        "..",
        "//",
        "0x",
        "-0",
        "1e9",
        "null",
        "[[]]",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "\u{fc}",
        "after=18446744073709551615",
        "limit=&limit=1",
        "columns=,,",
        "columns=id,id",
        "min-seq=9",
        "000000000000.i7",
        "000000000000.t",
        "a_",
        "A__b",
        "eu'--",
        "\"",
        "\\u0000",
        "gzip;q=",
        "Bearer",
    ];
    prop_oneof![
        vec(any::<u8>(), 0..40),
        select(words).prop_map(|word| word.as_bytes().to_vec()),
        "[ -~]{0,60}".prop_map(String::into_bytes),
    ]
}

async fn say(node: &Sidecar, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(node.addr).await.unwrap();
    // The server may have closed before all is sent, and a reset is an end, too.
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let mut said = Vec::new();
    let end = tokio::time::timeout(SOON, stream.read_to_end(&mut said)).await;
    let _ = end.unwrap_or_else(|_| panic!("no end to {}", String::from_utf8_lossy(request)));
    said
}

#[test]
fn nothing_that_is_sent_makes_it_fail() {
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(Sidecar::start(filled()));
    let request = (any::<Index>(), filling()).prop_map(|(which, filling)| {
        let sound = which.get(SOUND);
        let (before, after) = sound.split_once('@').unwrap();
        [before.as_bytes(), &filling, after.as_bytes()].concat()
    });
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(1500) });
    let outcome = runner.run(&request, |request| {
        let said = runtime.block_on(say(&node, &request));
        let said = String::from_utf8_lossy(&said);
        let status = said.split(' ').nth(1).unwrap_or_default();
        // The original's answer to every mistake.
        let original = request.starts_with(b"POST /get-row");
        prop_assert!(original || !status.starts_with('5') || status == "504", "{}", said);
        prop_assert!(!said.contains("internal"), "{}", said);
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(async {
        assert_eq!(node.get("/v1/row/billing/plans/free").await.status, 200);
        node.stop().await;
    });
}
