//! Bounds on bodies and statements.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{AS_WRITER, Backend, SECRET, Server};

const MIB: usize = 1 << 20;

/// A table with a Text column, where large values go.
async fn with_texts(server: &Server) {
    server.send("POST /writers/writer1", &[], SECRET).await.ok();
    server.send("POST /families/fam", &[], "").await.ok();
    let table = r#"{"fields":[["id","integer"],["value","text"]],"keyFields":["id"]}"#;
    server.send("POST /families/fam/tables/texts", &[], table).await.ok();
}

fn text(value: &str) -> String {
    format!(r#"{{"mutations":[{{"table":"texts","values":{{"id":1,"value":"{value}"}}}}]}}"#)
}

#[tokio::test]
async fn a_body_has_at_most_a_mebibyte() {
    let server = Server::start(Backend::Sqlite).await;
    with_texts(&server).await;
    let body = |bytes: usize| {
        let mut body = text("x");
        // White space after the JSON, so that only the body's size is in question.
        body.push_str(&" ".repeat(bytes - body.len()));
        body
    };
    server.mutate("fam", body(MIB)).await.ok();
    let refused = server.mutate("fam", body(MIB + 1)).await;
    assert_eq!((refused.status, refused.text().as_str()), (413, "Request too large\n"));
    assert_eq!(server.mutate("fam", body(5 * MIB)).await.status, 413);
    server.end().await;
}

/// Whose body nobody reads still gets the answer, and not a reset connection.
#[tokio::test]
async fn the_answer_comes_though_nobody_wants_the_body() {
    let closed = |config: &mut executive::Config| config.admin = executive::AdminAccess::Closed;
    let server = Server::start_with(Backend::Sqlite, closed).await;
    let large = " ".repeat(4 * MIB);
    for (request, status) in [
        ("POST /families/fam", 401),
        ("POST /families/fam/mutations", 401),
        ("POST /families/f/mutations", 400),
        ("POST /cookie", 404),
        ("POST /nowhere", 404),
        ("POST //nowhere", 301),
        ("POST /status", 405),
        ("GET /status", 200),
    ] {
        let answer = server.send(request, &AS_WRITER, large.clone()).await;
        assert_eq!(answer.status, status, "{request}");
    }
    server.end().await;
}

/// Who asks before it sends is told at once, and sends nothing.
#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_not_asked_for_in_vain() {
    let server = Server::start(Backend::Sqlite).await.with_kv().await;
    let [(writer, name), (secret, value)] = AS_WRITER;
    let head = |secret_value: &str, bytes: usize| {
        format!(
            "POST /families/fam/mutations HTTP/1.1\r\nhost: x\r\n{writer}: {name}\r\n{secret}: {secret_value}\r\nexpect: 100-continue\r\ncontent-length: {bytes}\r\n\r\n"
        )
    };
    let first_line = async |head: String| {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        let start = std::time::Instant::now();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        String::from_utf8(answer.to_vec()).unwrap()
    };
    assert_eq!(first_line(head(value, 10)).await, "HTTP/1.1 100");
    assert_eq!(first_line(head("wrong", 10)).await, "HTTP/1.1 401");
    assert_eq!(first_line(head(value, MIB + 1)).await, "HTTP/1.1 413");
    server.end().await;
}

/// As the original's server does: a client may close its side when it has sent all.
#[tokio::test]
async fn a_client_that_has_said_all_still_gets_its_answer() {
    let server = Server::start(Backend::MariaDb).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"POST /families/fam HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.end().await;
}

/// Strangers who begin bodies and never end them take no places from those who may write.
#[tokio::test]
async fn strangers_with_slow_bodies_hold_up_nobody() {
    let narrow = |config: &mut executive::Config| config.max_in_flight = 1;
    let server = Server::start_with(Backend::Sqlite, narrow).await.with_kv().await;
    let head = "POST /families/fam/mutations HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc";
    let mut strangers = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        strangers.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.mutate("fam", crate::server::kv(&[(1, "x")], None, None)).await.ok();
    for mut stranger in strangers {
        let mut answer = [0; 12];
        stranger.read_exact(&mut answer).await.unwrap();
        // All five came at once, and there is one place.
        assert!([b"HTTP/1.1 401", b"HTTP/1.1 503"].contains(&&answer), "{answer:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_chunked_body_is_counted_as_it_comes() {
    let server = Server::start(Backend::Sqlite).await;
    with_texts(&server).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let [(writer, name), (secret, value)] = AS_WRITER;
    let head = format!(
        "POST /families/fam/mutations HTTP/1.1\r\nhost: x\r\n{writer}: {name}\r\n{secret}: {value}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..17 {
        // The server may have answered and closed already.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    server.end().await;
}

#[tokio::test]
async fn a_statement_has_at_most_768_kibibytes() {
    for backend in Backend::ALL {
        let server = Server::start(backend).await;
        with_texts(&server).await;
        let around = r#"REPLACE INTO fam___texts ("id","value") VALUES(1,'')"#.len();
        let fits = "x".repeat(768 * 1024 - around);
        server.mutate("fam", text(&fits)).await.ok();
        let refused = server.mutate("fam", text(&format!("{fits}x"))).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.text(), "Request generated too large of a DML statement");
        // A quote is one byte here and two in the statement.
        let quotes = "'".repeat(400 * 1024);
        assert_eq!(server.mutate("fam", text(&quotes)).await.status, 400);
        let entries = server.ledger().await;
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].statement.len(), 768 * 1024);
        server.end().await;
    }
}

#[tokio::test]
async fn a_cookie_has_at_most_1024_bytes() {
    let server = Server::start(Backend::Sqlite).await.with_kv().await;
    server.send("POST /cookie", &AS_WRITER, "c".repeat(1024)).await.ok();
    let refused = server.send("POST /cookie", &AS_WRITER, "c".repeat(1025)).await;
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (400, "Maximum cookie length is 1024 bytes")
    );
    let kept = server.send("GET /cookie", &AS_WRITER, "").await.ok();
    assert_eq!(kept.body.len(), 1024);
    server.end().await;
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let quick = |config: &mut executive::Config| {
        config.handler_timeout = Duration::from_millis(300);
    };
    let server = Server::start_with(Backend::Sqlite, quick).await.with_kv().await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let head = "POST /writers/writer9 HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    server.end().await;
}
