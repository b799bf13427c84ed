//! Reads the body of a request, bounded in size and in time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::{Code, Error};

/// The most bytes a body may have, as in the original.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// How much of a refused body is read and thrown away, and for how long. A client that still writes when the connection
/// closes would see a reset in place of the answer.
const DRAIN_BYTES: usize = 8 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Reads the whole body.
pub(crate) async fn read(body: Body, within: Duration) -> Result<Bytes, Error> {
    if body.size_hint().lower() > u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) {
        discard(body).await;
        return Err(too_large());
    }
    let mut limited = Limited::new(body, MAX_BYTES);
    let collected = tokio::time::timeout(within, (&mut limited).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            drop(limited);
            Err(too_large())
        }
        Ok(Err(_)) => Err(Error::new(Code::BodyUnreadable, "the body ended early, send it again")),
        Err(_) => Err(Error::new(
            Code::RequestTimeout,
            format!("the body did not arrive within {within:?}, send it faster"),
        )),
    }
}

/// Reads what is left of a body that nobody wants.
pub(crate) async fn discard(body: Body) {
    let drain = Limited::new(body, DRAIN_BYTES);
    let drain = async {
        let mut drain = std::pin::pin!(drain);
        while let Some(Ok(_)) = drain.as_mut().frame().await {}
    };
    // Whether it ended or time ran out makes no difference.
    let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
}

fn too_large() -> Error {
    Error::new(Code::BodyTooLarge, "Request too large")
}
