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

    /// Of a put on condition: something else is there, or somebody else writes it right now.
    pub(super) fn of_condition(self) -> Self {
        match (self.status, self.kind) {
            (409 | 412, _) | (_, Kind::NotFound) => self.with(Kind::Changed),
            _ => self,
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// A range that begins past the end of its object.
    pub(super) fn is_past_the_end(&self) -> bool {
        self.status == 416
    }

    /// May it be over when credentials and certificates are read again?
    pub(super) fn is_of_the_client(&self) -> bool {
        self.kind == Kind::Denied || (self.kind == Kind::Refused && self.status == 0)
    }

    pub(super) fn of(self, verb: &'static str, object: &str, server: &str) -> StoreError {
        let Said(said) = self.said;
        StoreError::new(verb, object, self.kind).caused_by(Said(format!("{server}: {said}")))
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
                let message = answer.err().message().unwrap_or("no message").trim_end_matches('.');
                let region = answer.raw().headers().get("x-amz-bucket-region");
                let mut text = format!("it answered {status} {code}: {message}");
                if let Some(cure) = cure(status, &code, region) {
                    text = format!("{text}: {cure}");
                }
                Self { kind: kind(status, &code), status, said: Said(text) }
            }
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                // A proxy's page, or half an answer.
                let said = Said(format!("it answered {status} in a form that is not S3's"));
                Self { kind: kind(status, ""), status, said }
            }
            other => Self::unanswered(Said::chain(other)),
        }
    }

    /// Nothing was answered: we did not get so far, or it took too long.
    fn unanswered(Said(said): Said) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let (kind, cure) = if has(&["credential", "AssumeRole", "identity token"]) {
            // There is nobody who could have denied it, but without credentials somebody would.
            (
                Kind::Denied,
                ": there are no credentials that can be used: name a file of profiles with credentials-file= in the URL, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or correct the workload identity",
            )
        } else if has(&["certificate", "UnknownIssuer"]) {
            (
                Kind::Refused,
                ": its certificate is not trusted here: name the file of its authority with ca= in the URL",
            )
        } else {
            (Kind::Unavailable, "")
        };
        Self { kind, status: 0, said: Said(format!("{said}{cure}")) }
    }
}

fn kind(status: u16, code: &str) -> Kind {
    match (status, code) {
        (_, "NoSuchBucket") => Kind::NoBucket,
        (404, _) => Kind::NotFound,
        // Another request for the same object is under way.
        (409, _) => Kind::Unavailable,
        // The clocks differ, or the session ended: new credentials help, or time does.
        (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => Kind::Denied,
        (401 | 403, _) => Kind::Denied,
        (400, "RequestTimeout" | "IncompleteBody" | "BadDigest") => Kind::Unavailable,
        // It cannot do it at all.
        (501, _) => Kind::Refused,
        // Success with a body that is none.
        (200..300 | 429 | 500.., _) => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

/// What one can do about an answer, where its kind does not say it.
fn cure(status: u16, code: &str, region: Option<&str>) -> Option<String> {
    let text = match (status, code) {
        (_, "AccessDenied") => {
            "allow these credentials to get, put and delete objects under the prefix and to list the bucket"
        }
        (_, "InvalidAccessKeyId") => "the access key is not known there, correct it",
        (_, "SignatureDoesNotMatch") => "the secret key is another there, correct it",
        (_, "ExpiredToken" | "TokenRefreshRequired") => {
            "the credentials have expired, have them renewed"
        }
        (_, "InvalidToken") => "the session token is none of this store's, correct the credentials",
        (_, "RequestTimeTooSkewed") => {
            "the clocks of this machine and of the store differ too much, set them"
        }
        (301 | 307, _)
        | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            return Some(match region {
                Some(region) => {
                    format!("the bucket is in another region, write region={region} into the URL")
                }
                None => {
                    "the bucket is in another region, or at another endpoint: name it with region= or endpoint= in the URL".to_owned()
                }
            });
        }
        (405 | 501, _) => {
            "the store cannot do this, use one that has conditional puts (If-Match, If-None-Match)"
        }
        _ => return None,
    };
    Some(text.to_owned())
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
        // To one that depends on nothing.
        check(412, "PreconditionFailed", Kind::Refused);
        check(409, "OperationAborted", Kind::Unavailable);
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
        check(501, "NotImplemented", Kind::Refused);
    }

    #[test]
    fn only_a_condition_can_fail() {
        let check = |status, code, want| {
            let failure = Failure { kind: kind(status, code), status, said: Said(String::new()) };
            assert_eq!(failure.of_condition().kind, want, "{status} {code}");
        };
        check(412, "PreconditionFailed", Kind::Changed);
        check(409, "ConditionalRequestConflict", Kind::Changed);
        check(404, "NoSuchKey", Kind::Changed);
        check(404, "NoSuchBucket", Kind::NoBucket);
        check(403, "AccessDenied", Kind::Denied);
        check(503, "SlowDown", Kind::Unavailable);
    }

    #[test]
    fn what_one_can_do_about_an_answer_is_said() {
        let check = |status, code, region, want: &str| {
            let found = cure(status, code, region).unwrap_or_default();
            assert!(found.contains(want) && found.is_empty() == want.is_empty(), "{code}: {found}");
        };
        check(403, "AccessDenied", None, "to list the bucket");
        check(403, "InvalidAccessKeyId", None, "access key is not known");
        check(403, "SignatureDoesNotMatch", None, "secret key is another");
        check(400, "ExpiredToken", None, "have them renewed");
        check(403, "RequestTimeTooSkewed", None, "clocks");
        check(301, "PermanentRedirect", Some("eu-west-1"), "region=eu-west-1");
        check(400, "AuthorizationHeaderMalformed", None, "with region= or endpoint=");
        check(501, "NotImplemented", None, "If-None-Match");
        check(404, "NoSuchKey", None, "");
        check(503, "SlowDown", None, "");
    }

    #[test]
    fn what_was_never_asked_is_sorted_too() {
        let check = |text: &str, kind, want: &str| {
            let failure = Failure::unanswered(Said(text.to_owned()));
            assert_eq!(failure.kind, kind, "{text}");
            assert!(failure.said.0.contains(want), "{text}: {:?}", failure.said);
        };
        check("dispatch failure: connection refused", Kind::Unavailable, "refused");
        check("no providers in chain provided credentials", Kind::Denied, "credentials-file=");
        check("invalid peer certificate: UnknownIssuer", Kind::Refused, "ca=");
    }
}
