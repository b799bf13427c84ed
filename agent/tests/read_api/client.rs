//! A client over a port or a socket. It keeps its connection.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Where a server is.
#[derive(Debug, Clone)]
pub(crate) enum At {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

impl From<SocketAddr> for At {
    fn from(addr: SocketAddr) -> Self {
        At::Tcp(addr)
    }
}

impl From<&Path> for At {
    fn from(path: &Path) -> Self {
        At::Socket(path.to_owned())
    }
}

pub(crate) struct Client(SendRequest<Body>);

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn connect(at: impl Into<At>) -> Self {
        let sender = match at.into() {
            At::Tcp(addr) => {
                let stream = TcpStream::connect(addr).await.unwrap();
                let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                sender
            }
            At::Socket(path) => {
                let stream = UnixStream::connect(path).await.unwrap();
                let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                sender
            }
        };
        Self(sender)
    }

    /// `GET /path` or `POST /path`, with headers and a body; its answer as it begins.
    pub(crate) async fn open(
        &mut self,
        request: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Incoming> {
        let (method, path) = request.split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(path).header("host", "node");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(Body::from(body.to_owned())).unwrap();
        self.0.ready().await.unwrap();
        tokio::time::timeout(SOON, self.0.send_request(request)).await.unwrap().unwrap()
    }

    pub(crate) async fn send(
        &mut self,
        request: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (head, body) = self.open(request, headers, body).await.into_parts();
        let body = tokio::time::timeout(SOON, body.collect()).await.unwrap().unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(at: impl Into<At>, request: &str, body: &str) -> Answer {
    Client::connect(at).await.send(request, &[], body).await
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}
