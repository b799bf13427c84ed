//! The node's read API over HTTP: the routes of the original's sidecar, with its shapes, and `GET /v1/status`.
//!
//! | route | 200 | else |
//! |---|---|---|
//! | `POST /get-row-by-key/{family}/{table}` | an object, column to value | 404 with `X-Ctlstore: Not Found`, 500 |
//! | `POST /get-rows-by-key-prefix/{family}/{table}` | an array of objects | 500 |
//! | `GET /get-ledger-latency` | `{"unit":"seconds","value":1.5}` | 500 |
//! | `GET /healthcheck`, `GET /ping` | empty | 500 while no entry is applied |
//! | `GET /v1/status` | what replay is doing | |
//!
//! As in the original, every failure is a 500 with a line of text, whoever's fault it is.

mod key;
mod shape;

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use daemon::log::Chain;
use reader::Ldb;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::read_api::key::KeyError;
use crate::status::Status;

/// How long a request in hand may hold up the end of the process.
const GRACE: Duration = Duration::from_secs(1);

const NO_UPDATES: &str = "get ledger latency: no ledger updates have been received yet\n";

#[derive(Debug, Clone)]
struct Api {
    ldb: Ldb,
    status: Status,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error(transparent)]
    Read(#[from] reader::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the read ended early")]
    Early(#[from] tokio::task::JoinError),
}

/// Serves until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    ldb: Ldb,
    status: Status,
    stop: CancellationToken,
) -> io::Result<()> {
    let server = axum::serve(listener, router(ldb, status))
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result,
        () = late => Ok(()),
    }
}

fn router(ldb: Ldb, status: Status) -> Router {
    Router::new()
        .route("/get-row-by-key/{family}/{table}", post(row))
        .route("/get-rows-by-key-prefix/{family}/{table}", post(rows))
        .route("/get-ledger-latency", get(latency))
        .route("/healthcheck", get(health))
        .route("/ping", get(health))
        .route("/v1/status", get(status_of))
        .with_state(Api { ldb, status })
}

async fn row(
    State(api): State<Api>,
    Path((family, table)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let read = move |ldb: &Ldb| {
        let family = ldb.family(&family)?;
        let key = key::read(&family.schema(&table)?, &body)?;
        let row = match key::values(&key) {
            Some(key) => family.row(&table, &key)?,
            None => None,
        };
        Ok(row.map(|row| shape::row(&row)))
    };
    Ok(match api.read(read).await? {
        Some(row) => Json(row).into_response(),
        None => {
            let header = (HeaderName::from_static("x-ctlstore"), "Not Found");
            (StatusCode::NOT_FOUND, [header]).into_response()
        }
    })
}

async fn rows(
    State(api): State<Api>,
    Path((family, table)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let read = move |ldb: &Ldb| {
        let family = ldb.family(&family)?;
        let key = key::read(&family.schema(&table)?, &body)?;
        let rows = match key::values(&key) {
            Some(key) if key.is_empty() => family.all(&table)?,
            Some(key) => family.rows(&table, &key)?,
            None => Vec::new(),
        };
        Ok(rows.iter().map(shape::row).collect::<Vec<_>>())
    };
    api.read(read).await.map(|rows| Json(rows).into_response())
}

async fn latency(State(api): State<Api>) -> Result<Response, ApiError> {
    let latency = api.read(|ldb| Ok(ldb.latency()?)).await?;
    Ok(match latency {
        Some(latency) => Json(shape::latency(latency)).into_response(),
        None => (StatusCode::INTERNAL_SERVER_ERROR, NO_UPDATES).into_response(),
    })
}

async fn health(State(api): State<Api>) -> Result<StatusCode, ApiError> {
    let latency = api.read(|ldb| Ok(ldb.latency()?)).await?;
    Ok(match latency {
        Some(_) => StatusCode::OK,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    })
}

async fn status_of(State(api): State<Api>) -> Json<shape::StatusShape> {
    Json(shape::status(&api.status.report(), api.ldb.generation()))
}

impl Api {
    /// Reads where blocking is allowed.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ldb) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let ldb = self.ldb.clone();
        tokio::task::spawn_blocking(move || read(&ldb)).await?
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let text = format!("{}\n", Chain(&self));
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }
}
