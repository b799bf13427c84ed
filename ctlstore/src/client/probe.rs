//! A single question, to a process by its address or by its socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::client::credentials::Credentials;
use crate::client::error::Server;
use crate::client::http::{Ask, Http};

/// For the whole exchange.
const PATIENCE: Duration = Duration::from_secs(5);
/// No answer to a single question is larger.
const MOST: usize = 4 << 20;

/// Asks at an address, with what is shown there.
pub(crate) async fn json(
    url: &str,
    (ca_file, credentials): (Option<&Path>, Credentials),
    path: &[&str],
) -> Result<Value> {
    Ok(Http::of(Server::Any, url, ca_file, credentials)?.read(Ask::get(path)).await?)
}

/// Asks an executive for a text.
pub(crate) async fn get(url: &str, ca_file: Option<&Path>, path: &str) -> Result<String> {
    let executive = Http::of(Server::Executive, url, ca_file, Credentials::None)?;
    let answer = executive.send(Ask::get(&[path])).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Asks at a socket, such as an agent's.
pub(crate) async fn socket_json(socket: &Path, path: &str) -> Result<Value> {
    let asked = tokio::time::timeout(PATIENCE, exchange(socket, path)).await;
    let silent = || format!("no answer at {} within {PATIENCE:?}", socket.display());
    let (status, body) = asked.with_context(silent)??;
    let nonsense = || format!("the answer at {} is no JSON", socket.display());
    let value = serde_json::from_slice(&body).with_context(nonsense);
    if status != StatusCode::OK {
        bail!("{} answers {status}", socket.display());
    }
    value
}

async fn exchange(socket: &Path, path: &str) -> Result<(StatusCode, Bytes)> {
    let failed = || format!("connect to {}", socket.display());
    let stream = UnixStream::connect(socket).await.with_context(failed)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?;
        anyhow::Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            ended = &mut connection, if open => {
                ended?;
                open = false;
            }
        }
    }
}

/// The path of an address such as `unix:/var/lib/ctlstore/agent.sock`.
pub(crate) fn socket_of(url: &str) -> Result<Option<PathBuf>> {
    let Some(path) = url.strip_prefix("unix:") else { return Ok(None) };
    let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
    ensure!(path.is_absolute(), "write a socket's address as unix:/PATH");
    Ok(Some(path))
}
