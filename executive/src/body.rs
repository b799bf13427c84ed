//! Reads the body of a request, bounded in size and in time, and what nobody else read of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, SizeHint};

use crate::error::{Code, Error};
use crate::ticket::Ticket;

/// The most bytes a body may have, as in the original.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// How much of an unread body is read and thrown away, and for how long.
const DRAIN_BYTES: usize = 8 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Reads the whole body.
pub(crate) async fn read(body: Body, ticket: &Ticket) -> Result<Bytes, Error> {
    if body.size_hint().lower() > u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let collected = Limited::new(body, MAX_BYTES).collect();
    match tokio::time::timeout_at(ticket.deadline, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Error::new(Code::BodyUnreadable, "the body ended early, send it again")),
        Err(_) => Err(Error::new(
            Code::RequestTimeout,
            format!("the body did not arrive within {:?}, send it faster", ticket.time),
        )),
    }
}

fn too_large() -> Error {
    Error::new(Code::BodyTooLarge, "Request too large\n")
}

/// Reads what the handler left of the body before the answer goes out: a client that still writes when the connection
/// closes would see a reset in place of the answer. Stands outside of everything, so that meanwhile the request holds
/// nothing but its connection.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Such a client sends nothing before somebody reads.
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let lent = Lent(Arc::new(Mutex::new(Rest { body, asked: !waits, ended: false })));
    let response = next.run(Request::from_parts(parts, Body::new(lent.clone()))).await;
    lent.discard().await;
    response
}

/// A body that the handler reads and that is not lost when the handler drops it.
#[derive(Debug, Clone)]
struct Lent(Arc<Mutex<Rest>>);

#[derive(Debug)]
struct Rest {
    body: Body,
    /// The client sends it.
    asked: bool,
    ended: bool,
}

impl Lent {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        // A panic elsewhere leaves a whole body behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discard(self) {
        let Rest { asked, ended, .. } = *self.rest();
        if ended || !asked {
            return;
        }
        let mut rest = Limited::new(self, DRAIN_BYTES);
        let drain = async { while let Some(Ok(_)) = rest.frame().await {} };
        // Whether it ended or time ran out makes no difference.
        let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut rest = self.rest();
        rest.asked = true;
        let polled = Pin::new(&mut rest.body).poll_frame(context);
        rest.ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest().body.size_hint()
    }
}
