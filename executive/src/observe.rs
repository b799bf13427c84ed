//! Around every request: its id, its span, its metrics, and errors in the form that the client reads.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use daemon::log::Chain;
use daemon::serve::Peer;
use futures::FutureExt;
use tracing::Instrument;

use crate::app::App;
use crate::caller::{Origin, REQUEST_ID};
use crate::error::Error;
use crate::routes::V1;

/// Gives a request its id, counts it, logs what went wrong, and renders errors as JSON where the client accepts that.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let _in_flight = InFlight::enter(&app);
    let origin = Origin::of(request.headers(), request.extensions().get::<Peer>());
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let json = is_v1(request.uri().path()) || accepts_json(request.headers());
    let span = tracing::info_span!("request", id = origin.request_id, %method, route);
    let id = HeaderValue::from_str(&origin.request_id);
    request.extensions_mut().insert(origin);

    // A panic would drop the connection without an answer.
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone());
    let response = handled.await.unwrap_or_else(|_| Error::internal().into_response());
    let mut response = span.in_scope(|| told(&app, response, json));

    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    app.metrics.answered(&route, &method, response.status(), start.elapsed());
    response
}

/// Logs and counts a refusal.
fn told(app: &App, mut response: Response, json: bool) -> Response {
    let Some(error) = response.extensions_mut().remove::<Error>() else {
        tracing::debug!(status = response.status().as_u16(), "answered");
        return response;
    };
    app.metrics.refused(error.code());
    let (code, field) = (error.code().as_str(), error.blamed());
    if error.code().is_failure() {
        tracing::warn!(code, field, error = %Chain(&error), "request failed");
    } else {
        tracing::debug!(code, field, error = %Chain(&error), "request refused");
    }
    if !json {
        return response;
    }
    let allow = response.headers_mut().remove(header::ALLOW);
    let mut response = error.into_json_response();
    response.extensions_mut().remove::<Error>();
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// Under our own paths, errors are always JSON.
fn is_v1(path: &str) -> bool {
    path.strip_prefix(V1).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Does the client ask for JSON by name? `*/*` does not: the original's clients send it and read text.
fn accepts_json(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).into_iter();
    let ranges = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    ranges.into_iter().any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
        let refused = |part: &str| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse() == Ok(0.0))
        };
        json && !parts.any(refused)
    })
}

/// Counts a request while it lives, also when its connection is dropped; the end of the process waits for it.
struct InFlight<'a> {
    app: &'a App,
    _token: tokio_util::task::task_tracker::TaskTrackerToken,
}

impl<'a> InFlight<'a> {
    fn enter(app: &'a App) -> Self {
        app.metrics.in_flight.inc();
        Self { app, _token: app.flight.token() }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.app.metrics.in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_must_be_asked_for_by_name() {
        let accepts = |accept: &'static str| {
            let value = HeaderValue::from_static(accept);
            accepts_json(&[(header::ACCEPT, value)].into_iter().collect())
        };
        for json in [
            "application/json",
            "text/plain, Application/JSON;q=0.5",
            "application/json; charset=utf-8",
        ] {
            assert!(accepts(json), "{json}");
        }
        for text in [
            "",
            "*/*",
            "text/plain",
            "application/json;q=0",
            "application/json; q=0.0",
            "application/jsonx",
        ] {
            assert!(!accepts(text), "{text}");
        }
        assert!(!accepts_json(&HeaderMap::new()));
    }
}
