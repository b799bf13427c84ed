//! Reads the body of a request, bounded in size and in time.

use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::{Code, Error};
use crate::ticket::Ticket;

/// The most bytes a body may have, as in the original.
pub(crate) const MAX_BYTES: usize = 1 << 20;

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
