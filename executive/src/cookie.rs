//! `GET` and `POST /cookie`: the bytes that a writer keeps with us, to know where in its own source it stands.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;

use crate::app::App;
use crate::audit;
use crate::auth::credentials;
use crate::body;
use crate::caller::Caller;
use crate::error::{Code, Error};
use crate::ticket::Ticket;

/// The cookie as it is.
pub(crate) async fn get(
    State(app): State<App>,
    ticket: Ticket,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Error> {
    let credentials = credentials(&headers)?;
    let cookie = app.ask(&ticket, app.db.cookie(&credentials)).await.map_err(not_found)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], cookie))
}

/// Replaces the cookie, whatever it was.
pub(crate) async fn set(
    State(app): State<App>,
    ticket: Ticket,
    headers: HeaderMap,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Error> {
    let credentials = credentials(&headers)?;
    app.authenticate(&ticket, &credentials, &headers).await.map_err(not_found)?;
    let cookie: Bytes = body::read(body, &ticket).await?;
    let (db, writer) = (app.db.clone(), credentials.writer.clone());
    let change = async move { db.set_cookie(&credentials, &cookie).await };
    app.carry_out(&ticket, change).await?.map_err(|error| not_found(error.into()))?;
    audit::set(&caller.writer(writer.clone()), "set cookie", &writer);
    Ok(StatusCode::OK)
}

/// Here, the original answers 404 to an unknown writer and to a wrong secret alike.
fn not_found(error: Error) -> Error {
    match error.code() {
        Code::WriterUnauthorized => Error::new(Code::WriterNotFound, "Writer not found"),
        _ => error,
    }
}
