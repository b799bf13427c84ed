//! What went wrong between us and a bucket, in the store's words, and without what must not show.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::Said;
use crate::{Kind, StoreError};

/// Not yet said of which object.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    status: u16,
    said: Said,
}

impl Failure {
    pub(super) fn said(kind: Kind, text: &str) -> Self {
        Self { kind, status: 0, said: Said(text.to_owned()) }
    }

    pub(super) fn with(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// A range that begins past the end of its object.
    pub(super) fn is_past_the_end(&self) -> bool {
        self.status == 416
    }

    pub(super) fn of(self, verb: &'static str, object: &str) -> StoreError {
        StoreError::new(verb, object, self.kind).caused_by(self.said)
    }

    pub(super) fn of_stream(error: &(dyn Error + 'static)) -> Self {
        Self { kind: Kind::Unavailable, status: 0, said: Said::chain(error) }
    }

    /// Only code, message and status are taken over: the rest of an answer is not for logs.
    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(super) fn of_request<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code().unwrap_or_default().to_owned();
                let message = answer.err().message().unwrap_or("no message");
                let said = Said(format!("it answered {status} {code}: {message}"));
                Self { kind: kind(status, &code), status, said }
            }
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                // A proxy's page, or half an answer.
                let said = Said(format!("it answered {status} in a form that is not S3's"));
                Self { kind: kind(status, ""), status, said }
            }
            other => {
                let said = Said::chain(other);
                // There is nobody who could have denied it, but without credentials somebody would.
                let denied = said.0.contains("credentials");
                let kind = if denied { Kind::Denied } else { Kind::Unavailable };
                Self { kind, status: 0, said }
            }
        }
    }
}

fn kind(status: u16, code: &str) -> Kind {
    match (status, code) {
        (_, "NoSuchBucket") => Kind::NoBucket,
        (404, _) => Kind::NotFound,
        (409 | 412, _) => Kind::Changed,
        // The clocks differ, or the session ended: new credentials help, or time does.
        (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => Kind::Denied,
        (401 | 403, _) => Kind::Denied,
        (400, "RequestTimeout" | "IncompleteBody" | "BadDigest") => Kind::Unavailable,
        // Success with a body that is none.
        (200..300 | 429 | 500.., _) => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_one_can_do_about_them() {
        let check = |status, code, want| assert_eq!(kind(status, code), want, "{status} {code}");
        check(404, "NoSuchKey", Kind::NotFound);
        check(404, "", Kind::NotFound);
        check(404, "NoSuchBucket", Kind::NoBucket);
        check(412, "PreconditionFailed", Kind::Changed);
        check(409, "ConditionalRequestConflict", Kind::Changed);
        check(403, "AccessDenied", Kind::Denied);
        check(403, "SignatureDoesNotMatch", Kind::Denied);
        check(400, "ExpiredToken", Kind::Denied);
        check(400, "IncompleteBody", Kind::Unavailable);
        check(503, "SlowDown", Kind::Unavailable);
        check(500, "InternalError", Kind::Unavailable);
        check(429, "", Kind::Unavailable);
        check(200, "", Kind::Unavailable);
        check(400, "InvalidArgument", Kind::Refused);
        check(301, "PermanentRedirect", Kind::Refused);
    }
}
