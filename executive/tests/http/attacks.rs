//! What a hostile client may try on an open port: requests that two readers would read in two ways, paths around the guard,
//! labels and log lines of its own, and all connections at once.

use std::time::Duration;

use executive::AdminAccess;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::send;
use crate::log::logged;
use crate::openapi::Spec;
use crate::server::{AS_WRITER, Backend, Server, kv};

fn with_admin_port(config: &mut executive::Config) {
    config.admin_bind = Some("127.0.0.1:0".parse().unwrap());
}

/// Sends bytes as they are; what comes back until the connection is closed or silent.
async fn say(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    // It may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut piece)).await {
            Ok(Ok(count)) if count > 0 => said.extend_from_slice(&piece[..count]),
            _ => return String::from_utf8_lossy(&said).into_owned(),
        }
    }
}

/// How many answers there are, and the status of the first; none when the connection was just closed.
fn answers(said: &str) -> (usize, Option<u16>) {
    let mut all = said.match_indices("HTTP/1.1 ").map(|(at, _)| said[at + 9..].get(..3));
    let first = all.next().flatten().and_then(|status| status.parse().ok());
    (said.matches("HTTP/1.1 ").count(), first)
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_is_refused() {
    let server = Server::start(Backend::Sqlite).await;
    let inner = "POST /families/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 0, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -1\r\n",
        "content-length: 0x5\r\n",
        "content-length: 18446744073709551617\r\n",
        "content-length : 0\r\n",
        " content-length: 0\r\n",
        "content-length: 0\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "x: y\r\n folded: z\r\n",
        "x\0: y\r\n",
    ] {
        let request =
            format!("POST /families/outer HTTP/1.1\r\nhost: x\r\n{head}\r\n0\r\n\r\n{inner}");
        let said = say(&server, request.as_bytes()).await;
        let (count, first) = answers(&said);
        assert!(count <= 1, "{head:?} carried a second request: {said}");
        // Chunks count where both are there, and then the connection ends, whatever comes behind.
        assert!(
            said.contains("connection: close") || first.is_none_or(|status| status == 400),
            "{head:?}: {said}"
        );
    }
    let families = server.db.families().await.unwrap();
    assert!(families.iter().all(|family| family.as_str() != "smuggled"), "{families:?}");
    server.end().await;
}

#[tokio::test]
async fn odd_requests_are_answered_or_closed_and_never_more() {
    let server = Server::start(Backend::Sqlite).await;
    for (request, status) in [
        ("GET http://elsewhere.example/status HTTP/1.1\r\nhost: x\r\n\r\n", Some(200)),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", Some(404)),
        ("CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\n\r\n", Some(404)),
        ("TRACE /status HTTP/1.1\r\nhost: x\r\n\r\n", Some(405)),
        ("GET /sta\0tus HTTP/1.1\r\nhost: x\r\n\r\n", Some(400)),
        ("GET /status HTTP/9.9\r\nhost: x\r\n\r\n", Some(400)),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
        ("\x16\x03\x01\x02\0", Some(400)),
    ] {
        let said = say(&server, request.as_bytes()).await;
        let (_, first) = answers(&said);
        assert!(first == status || status.is_none() && first == Some(400), "{request:?}: {said:?}");
    }
    // Fewer bytes than were promised, and then silence or the end.
    let mut half = TcpStream::connect(server.addr).await.unwrap();
    let head = "POST /writers/half HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\nabc";
    half.write_all(head.as_bytes()).await.unwrap();
    half.shutdown().await.unwrap();
    let mut said = String::new();
    half.read_to_string(&mut said).await.unwrap();
    assert!(answers(&said).1.is_none_or(|status| status == 400), "{said}");
    assert_eq!(server.send("DELETE /limits/writers/half", &[], "").await.status, 404);
    server.end().await;
}

/// Each admin route in other clothes: none lets anyone in, and none tells what exists.
#[tokio::test]
async fn no_spelling_of_a_path_goes_around_the_guard() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "alice:the-token\n").unwrap();
    let open = Server::start(Backend::Sqlite).await.with_kv().await;
    let closed = open.beside(|config| config.admin = AdminAccess::TokenFile(file)).await;
    let before = open.texts().await;
    let routes = Spec::of(&closed).await.routes_that_need("adminToken");
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let encoded = format!("/%{:02x}{}", path.as_bytes()[1], &path[2..]);
        let mut spellings = vec![
            format!("{method} {path}/"),
            format!("{method} /.{path}"),
            format!("{method} /x/..{path}"),
            format!("{method} {path}?authorization=Bearer%20the-token"),
            format!("{method} {encoded}"),
            format!("{method} {}", path.to_uppercase()),
            format!("{method} /%2f{}", &path[1..]),
            format!("OPTIONS {path}"),
        ];
        if method == "GET" {
            spellings.push(format!("HEAD {path}"));
        }
        for spelling in spellings {
            for authorization in ["", "Bearer", "Bearer the-toke", "Bearer the-token2", "the-token"]
            {
                let headers = [("authorization", authorization)];
                let status = closed.send(&spelling, &headers, "{}").await.status;
                assert!(matches!(status, 301 | 400 | 401 | 404 | 405), "{spelling}: {status}");
            }
        }
        // What exists and what does not is told alike.
        let of = |answer: crate::client::Answer| (answer.status, answer.text());
        let other = |segment| match segment {
            "fam" => "nowhere",
            "writer1" => "nobody",
            same => same,
        };
        let elsewhere = path.split('/').map(other).collect::<Vec<_>>().join("/");
        let here = of(closed.send(&route, &[], "").await);
        let there = of(closed.send(&format!("{method} {elsewhere}"), &[], "").await);
        assert_eq!(here, there, "{route}");
        assert_eq!(here.0, 401, "{route}");
    }
    let guess = [("ctlstore-writer", "writer1"), ("ctlstore-secret", "guess")];
    for family in ["fam", "nowhere"] {
        let line = format!("POST /families/{family}/mutations");
        let refused = closed.send(&line, &guess, kv(&[(1, "x")], None, None)).await;
        assert_eq!((refused.status, refused.text().as_str()), (401, "Writer not found"));
    }
    assert_eq!(open.texts().await, before);
    closed.end().await;
    open.end().await;
}

#[tokio::test]
async fn clients_make_no_labels_of_their_own() {
    let server = Server::start_with(Backend::Sqlite, with_admin_port).await.with_kv().await;
    for number in 0..20 {
        for request in [
            format!("POST /families/evil{number}/mutations"),
            format!("GET /schema/table/evil{number}/evil{number}"),
            format!("POST /limits/tables/evil{number}/evil{number}"),
            format!("GET /v1/history/evil{number}/evil/x/evil"),
            format!("GET /evil{number}"),
            format!("EVIL{number} /status"),
        ] {
            server.send(&request, &AS_WRITER, r#"{"mutations":[{"table":"evil"}]}"#).await;
        }
    }
    let admin = server.admin_addr.unwrap();
    let metrics = send(admin, "GET /metrics", &[], "").await.ok().text();
    assert!(metrics.contains(r#"route="none",method="GET",code="404""#), "{metrics}");
    let evil = metrics.lines().find(|line| line.to_lowercase().contains("evil"));
    assert_eq!(evil, None);
    server.end().await;
}

#[tokio::test]
async fn no_header_writes_lines_of_the_log() {
    let server = Server::start(Backend::Sqlite).await.with_kv().await;
    let [name, secret] = AS_WRITER;
    for id in ["two words", "tab\there", "ünicode", "\u{85}forged", &"x".repeat(65)] {
        let answer = server.send("GET /status", &[("x-request-id", id)], "").await.ok();
        assert_eq!(answer.header("x-request-id").unwrap().len(), 36, "{id:?} was taken");
    }
    let longest = "y".repeat(64);
    let answer = server.send("GET /status", &[("x-request-id", &longest)], "").await.ok();
    assert_eq!(answer.header("x-request-id"), Some(longest.as_str()));
    for reason in ["next\u{85}forged-line", "next\u{2028}forged-line", "tab\tforged-line"] {
        let headers = [name, secret, ("ctlstore-reason", reason)];
        let body = kv(&[(1, "x")], None, None);
        let refused = server.send("POST /families/fam/mutations", &headers, body).await;
        assert_eq!(refused.status, 400, "{reason:?}: {}", refused.text());
    }
    assert!(!logged().contains("forged-line"));
    server.end().await;
}

/// Health is asked on the admin port, which strangers on the other do not fill.
#[tokio::test]
async fn all_connections_taken_leave_health_alone() {
    let server = Server::start_with(Backend::Sqlite, |config| {
        with_admin_port(config);
        config.connections.max_connections = 3;
        config.connections.head_time = Duration::from_secs(2);
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(server.addr).await.unwrap());
    }
    let admin = server.admin_addr.unwrap();
    for health in ["GET /livez", "GET /readyz"] {
        send(admin, health, &[], "").await.ok();
    }
    // Whoever says nothing is sent away, and others get their turn.
    let status = server.send("GET /status", &[], "");
    tokio::time::timeout(Duration::from_secs(40), status).await.expect("strangers stay").ok();
    server.end().await;
}
