//! Where changes come from: the hub of the agent that this process is, or, in a sidecar, the agent's socket. Without one, a
//! sidecar tells sequences only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::changes::Hub;

/// An agent answers at once, or is in no state to.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_STATUS_BYTES: usize = 1 << 20;

/// Where changes come from.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    Hub(Hub),
    /// The agent's socket, if it is there.
    Socket(PathBuf),
}

/// Why the agent's socket did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("cannot reach the agent's socket {}", path.display())]
    Connect { path: PathBuf, source: std::io::Error },
    #[error("the agent's socket does not speak HTTP")]
    Http(#[from] hyper::Error),
    #[error("the agent does not answer within {PATIENCE:?}")]
    Late(#[from] tokio::time::error::Elapsed),
}

impl Feed {
    /// What the agent says of itself, if this is a sidecar that reaches it.
    pub(crate) async fn agent_status(&self) -> Option<serde_json::Value> {
        let Feed::Socket(path) = self else { return None };
        let status = async {
            let answer = ask(path, "/v1/status").await?;
            Ok::<_, RelayError>((answer.status(), answer.into_body()))
        };
        let (status, body) = status.await.ok()?;
        let body = timeout(PATIENCE, Limited::new(body, MAX_STATUS_BYTES).collect()).await;
        let body = body.ok()?.ok()?.to_bytes();
        (status == StatusCode::OK).then(|| serde_json::from_slice(&body).ok()).flatten()
    }
}

/// Asks the agent, and passes on its answer as it comes.
pub(crate) async fn relay(path: &Path, target: &str) -> Result<Response<Body>, RelayError> {
    let (head, body) = ask(path, target).await?.into_parts();
    let mut answer = Response::new(Body::new(body));
    *answer.status_mut() = head.status;
    if let Some(kind) = head.headers.get(header::CONTENT_TYPE) {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    Ok(answer)
}

async fn ask(path: &Path, target: &str) -> Result<Response<Incoming>, RelayError> {
    let asked = async {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| RelayError::Connect { path: path.to_owned(), source })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // tidy: allow spawn: lives as long as the answer, and ends with its connection
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::get(target).header(header::HOST, "agent").body(Body::empty());
        let request = request.expect("BUG: the target is a path of ours");
        Ok::<_, RelayError>(sender.send_request(request).await?)
    };
    timeout(PATIENCE, asked).await?
}
