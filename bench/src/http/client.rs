//! Keeps clients busy for a while and times each request.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

/// Where a server is.
#[derive(Debug, Clone)]
pub(crate) enum At {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

/// What to ask, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    path: String,
    body: Bytes,
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

const WARM: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_secs(2);

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: Bytes::new() }
    }

    pub(crate) fn post(path: &str, body: String) -> Self {
        Self { method: Method::POST, path: path.to_owned(), body: body.into() }
    }
}

/// Has so many clients ask, each again as soon as it is answered.
pub(crate) async fn drive(at: &At, request: &Request, clients: usize) -> Result<Load> {
    let mut senders = Vec::new();
    for _ in 0..clients {
        senders.push(connect(at).await?);
    }
    let start = Instant::now() + WARM;
    let end = start + MEASURED;
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let request = request.clone();
        tasks.spawn(async move {
            let mut times = Vec::new();
            loop {
                let began = Instant::now();
                if began >= end {
                    return anyhow::Ok(times);
                }
                ask(&mut sender, &request).await?;
                if began >= start {
                    times.push(began.elapsed());
                }
            }
        });
    }
    let mut times = Vec::new();
    for done in tasks.join_all().await {
        times.extend(done?);
    }
    times.sort_unstable();
    let at = |percent: usize| {
        let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or_default()
    };
    let per_second = f64::from(u32::try_from(times.len())?) / MEASURED.as_secs_f64();
    Ok(Load { per_second, p50: at(50), p99: at(99) })
}

async fn connect(at: &At) -> Result<SendRequest<Full<Bytes>>> {
    Ok(match at {
        At::Tcp(addr) => {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender
        }
        At::Socket(path) => {
            let (sender, connection) =
                handshake(TokioIo::new(UnixStream::connect(path).await?)).await?;
            tokio::spawn(connection);
            sender
        }
    })
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: &Request) -> Result<()> {
    let Request { method, path, body } = request;
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "node")
        .body(Full::new(body.clone()))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}
