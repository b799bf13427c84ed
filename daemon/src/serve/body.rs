//! Reads what nobody read of a request's body.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::response::Response;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Frame, SizeHint};

/// How much of an unread body is read and thrown away, and for how long.
const DRAIN_BYTES: usize = 8 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Reads what the routes left of the body before the answer goes out: a client that still writes when the connection
/// closes would see a reset in place of the answer. Stands outside of everything, so that meanwhile the request holds
/// nothing but its connection.
pub(super) async fn finish<F>(
    request: Request,
    routes: impl FnOnce(Request) -> F,
) -> Result<Response, Infallible>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    if request.body().is_end_stream() {
        return routes(request).await;
    }
    // Such a client sends nothing before somebody reads.
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let lent = Lent(Arc::new(Mutex::new(Rest { body, asked: !waits, ended: false })));
    let response = routes(Request::from_parts(parts, Body::new(lent.clone()))).await;
    lent.discard().await;
    response
}

/// A body that the routes read and that is not lost when they drop it.
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
