//! The answer to a request that changed rows or tables: where in the ledger the change stands.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use ledger::Mark;

/// Header with the sequence of the last entry written.
pub(crate) const SEQ: HeaderName = HeaderName::from_static("ctlstore-seq");
/// Header with the place of that entry: history, sequence and digest, for programs that wait for it.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("ctlstore-position");

/// 200, and the place of the last entry where something was written.
#[derive(Debug)]
pub(crate) struct Written(pub(crate) Option<Mark>);

impl IntoResponseParts for Written {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if let Some(mark) = self.0 {
            let headers: &mut HeaderMap = parts.headers_mut();
            headers.insert(SEQ, mark.seq.get().into());
            let position = HeaderValue::from_str(&mark.to_string());
            headers.insert(POSITION, position.expect("BUG: a mark is plain ASCII"));
        }
        Ok(parts)
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}
