//! Reads the body of a request, bounded in size and in time.

use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::read_api::app::App;
use crate::read_api::error::{Code, Error};

/// The most bytes a body may have.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Reads the whole body.
pub(crate) async fn read(app: &App, body: Body) -> Result<Bytes, Error> {
    if body.size_hint().lower() > u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let collected = Limited::new(body, MAX_BYTES).collect();
    match tokio::time::timeout(app.limits.timeout, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Error::new(Code::BodyUnreadable, "the body ended early, send it again")),
        Err(_) => {
            let time = app.limits.timeout;
            let text = format!("the body did not arrive within {time:?}, send it faster");
            Err(Error::new(Code::RequestTimeout, text))
        }
    }
}

fn too_large() -> Error {
    let text = format!("the body has more than {MAX_BYTES} bytes, ask for less at once");
    Error::new(Code::BodyTooLarge, text)
}
