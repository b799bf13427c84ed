//! What bounds a request: its place among those in hand, and the time by which it must be answered.

use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use daemon::serve::Place;
use tokio::time::Instant;

use crate::app::App;
use crate::error::{Code, Error};

/// A request's place and time. What it begins in ctldb keeps the place until it is over, also when the client has long
/// gone: impatient clients cannot pile up more work than there are places.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    /// When the request must be answered.
    pub(crate) deadline: Instant,
    /// The time that it had at first, for messages.
    pub(crate) time: Duration,
    _place: Place,
}

/// Gives a request its ticket, or refuses it at once when too many are in hand, so that those in hand get done.
pub(crate) async fn admit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(place) = app.places.enter() else {
        return Error::new(Code::Overloaded, "too many requests in hand, try again")
            .retry_after(Duration::from_secs(1))
            .into_response();
    };
    let time = app.timeout;
    let ticket = Ticket { deadline: Instant::now() + time, time, _place: place };
    request.extensions_mut().insert(ticket);
    next.run(request).await
}

impl FromRequestParts<App> for Ticket {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let ticket = parts.extensions.get::<Self>().cloned();
        Ok(ticket.expect("BUG: every request but those for health is admitted"))
    }
}
