//! Around every request: where the LDB stands, who may ask, a place among those in hand, and the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use daemon::log::Chain;
use daemon::tokens::{Tokens, bearer};
use futures::FutureExt as _;

use crate::read_api::app::App;
use crate::read_api::conditions::{LAG, SEQ, stamp};
use crate::read_api::error::{Code, Error};
use crate::read_api::path::refuse;

/// Stamps and counts every answer, and logs what went wrong.
pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let _in_hand = app.flight.token();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| Arc::from("none"), |path| Arc::from(path.as_str()));
    // Before the read, so that the answer is at least so new.
    let stamp = stamp(&app.ldb);
    // A panic would drop the connection without an answer.
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = handled.unwrap_or_else(|_| Error::internal().into_response());
    let headers = response.headers_mut();
    for name in [SEQ, LAG] {
        if let Some(value) = stamp.get(&name)
            && !headers.contains_key(&name)
        {
            headers.insert(name, value.clone());
        }
    }
    if let Some(error) = response.extensions_mut().remove::<Error>() {
        let (code, route) = (error.code().as_str(), &*route);
        if matches!(error.code(), Code::Internal | Code::Unavailable) {
            tracing::warn!(code, route, error = %Chain(&error), "read failed");
        } else {
            tracing::debug!(code, route, error = %Chain(&error), "read refused");
        }
    }
    app.metrics.answered(route, response.status());
    response
}

/// Gives a request its place, which it keeps until its answer is written, or refuses it at once when too many are in hand.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(place) = app.places.enter() else {
        return refuse(request.uri().path(), Error::overloaded());
    };
    let response = next.run(request).await;
    drop(place);
    response
}

/// Lets in whoever bears a token.
pub(crate) async fn bearers_only(
    State(tokens): State<Arc<Tokens>>,
    request: Request,
    next: Next,
) -> Response {
    if bearer(request.headers()).is_some_and(|token| tokens.owner(token).is_some()) {
        return next.run(request).await;
    }
    let text = match request.headers().contains_key(header::AUTHORIZATION) {
        true => "the header Authorization has no token of --read-token-file",
        false => "send a token of --read-token-file as Authorization: Bearer TOKEN",
    };
    refuse(request.uri().path(), Error::new(Code::Unauthorized, text))
}
