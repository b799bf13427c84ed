//! The end of the process: quick, whatever clients do.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::server::{Backend, Server};

#[tokio::test]
async fn idle_and_half_spoken_connections_do_not_hold_up_the_end() {
    let server = Server::start(Backend::Sqlite).await;
    let _idle = TcpStream::connect(server.addr).await.unwrap();
    let mut half = TcpStream::connect(server.addr).await.unwrap();
    half.write_all(b"POST /families/fam HTTP/1.1\r\nhost:").await.unwrap();
    let mut kept = TcpStream::connect(server.addr).await.unwrap();
    kept.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    let addr = server.addr;
    server.end().await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(TcpStream::connect(addr).await.is_err(), "the port still listens");
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_process_with_the_cure() {
    let server = Server::start(Backend::Sqlite).await;
    let config = executive::Config::open(server.addr, server.url.clone());
    let stop = tokio_util::sync::CancellationToken::new();
    let error = executive::run(config, stop, |_| panic!("it started")).await.unwrap_err();
    assert!(error.to_string().contains("choose another port"), "{error:#}");
    server.end().await;
}
