//! The routes of the original's sidecar, with its shapes.
//!
//! | route | 200 | else |
//! |---|---|---|
//! | `POST /get-row-by-key/{family}/{table}` | an object, column to value | 404 with `X-Ctlstore: Not Found`, 500 |
//! | `POST /get-rows-by-key-prefix/{family}/{table}` | an array of objects | 416 beyond `--read-max-rows`, 500 |
//! | `GET /get-ledger-latency` | `{"unit":"seconds","value":1.5}` | 500 |
//! | `GET /healthcheck`, `GET /ping` | empty | 500 while no entry is applied |
//!
//! As in the original, every failure is a 500 with a line of text, whoever's fault it is.

mod key;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use reader::Family;

use crate::read_api::app::{App, Size};
use crate::read_api::body;
use crate::read_api::error::{Code, Error};
use crate::read_api::json::Style;
use crate::read_api::key::Part;
use crate::read_api::original::key::KeyError;
use crate::read_api::page::{List, Most};
use crate::read_api::path::Target;
use crate::read_api::row::{JSON, one};
use crate::read_api::shape;
use crate::read_api::stream::{self, Frame};

const NO_UPDATES: &str = "get ledger latency: no ledger updates have been received yet\n";

/// Why a request was not answered, in the original's way.
pub(crate) struct Failed(Error);

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.code() {
            Code::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        self.0.into_text(status)
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        let text = daemon::log::Chain(&error).to_string();
        Error::new(Code::JsonInvalid, text)
    }
}

/// `POST /get-row-by-key/{family}/{table}`
pub(crate) async fn row(State(app): State<App>, uri: Uri, body: Body) -> Result<Response, Failed> {
    let (family, table, key) = asked(&app, &uri, body).await?;
    Ok(match one(&family, &table, &key, &Style::ORIGINAL)? {
        Some(row) => ([(header::CONTENT_TYPE, JSON)], row).into_response(),
        None => {
            let header = (HeaderName::from_static("x-ctlstore"), "Not Found");
            (StatusCode::NOT_FOUND, [header]).into_response()
        }
    })
}

/// `POST /get-rows-by-key-prefix/{family}/{table}`
pub(crate) async fn rows(State(app): State<App>, uri: Uri, body: Body) -> Result<Response, Failed> {
    let (family, table, prefix) = asked(&app, &uri, body).await?;
    let place = app.place(Size::Whole).await?;
    let list = List { family, table, prefix, style: Style::ORIGINAL, between: b"," };
    let max_rows = app.limits.max_rows;
    if max_rows > 0 && list.has_more_than(&app, max_rows).await? {
        return Ok(StatusCode::RANGE_NOT_SATISFIABLE.into_response());
    }
    // Of one state as far as memory allows.
    let most = Most { rows: u64::MAX, bytes: app.limits.max_bytes };
    let first = list.page(&app, None, most).await?;
    let frame = Frame { open: b"[", close: b"]", last: b"" };
    let rows = stream::body(app, list, first, frame, place);
    Ok(([(header::CONTENT_TYPE, JSON)], rows).into_response())
}

/// `GET /get-ledger-latency`
pub(crate) async fn latency(State(app): State<App>) -> Result<Response, Failed> {
    Ok(match app.ldb.latency()? {
        Some(latency) => Json(shape::latency(latency)).into_response(),
        None => (StatusCode::INTERNAL_SERVER_ERROR, NO_UPDATES).into_response(),
    })
}

/// `GET /healthcheck` and `GET /ping`
pub(crate) async fn health(State(app): State<App>) -> Result<StatusCode, Failed> {
    Ok(match app.ldb.latency()? {
        Some(_) => StatusCode::OK,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    })
}

/// The family, the table and the key of a request.
async fn asked(app: &App, uri: &Uri, body: Body) -> Result<(Family, String, Vec<Part>), Error> {
    let Target { family, table, .. } = Target::of(uri)?;
    let body = body::read(app, body).await?;
    let family = app.family(&family)?;
    let key = key::read(&*family.shared_schema(&table)?, &body)?;
    Ok((family, table, key))
}
