//! What a refused request is told: a status, a code for programs, a sentence for people and, where one part of the request is
//! to blame, its name. Under `/v1` as `{"error":{"code","message","field"}}`, elsewhere as a line of text.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daemon::log::Chain;
use serde_json::json;

/// Why a request was refused, for programs. Each has one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    AnswerTooLarge,
    BodyTooLarge,
    BodyUnreadable,
    ColumnUnknown,
    ContinueInvalid,
    FamilyNotFound,
    Internal,
    JsonInvalid,
    KeyInvalid,
    MethodNotAllowed,
    NameInvalid,
    NotReached,
    OtherHistory,
    Overloaded,
    PathInvalid,
    QueryInvalid,
    RequestTimeout,
    RouteNotFound,
    RowNotFound,
    TableNotFound,
    TooFarBehind,
    TooManyKeys,
    TooManyWatchers,
    Unauthorized,
    Unavailable,
}

impl Code {
    /// Its text in answers.
    pub(crate) fn as_str(self) -> &'static str {
        self.both().0
    }

    pub(crate) fn status(self) -> StatusCode {
        self.both().1
    }

    fn both(self) -> (&'static str, StatusCode) {
        match self {
            Code::AnswerTooLarge => ("answer_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Code::BodyTooLarge => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Code::BodyUnreadable => ("body_unreadable", StatusCode::BAD_REQUEST),
            Code::ColumnUnknown => ("column_unknown", StatusCode::BAD_REQUEST),
            Code::ContinueInvalid => ("continue_invalid", StatusCode::BAD_REQUEST),
            Code::FamilyNotFound => ("family_not_found", StatusCode::NOT_FOUND),
            Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Code::JsonInvalid => ("json_invalid", StatusCode::BAD_REQUEST),
            Code::KeyInvalid => ("key_invalid", StatusCode::BAD_REQUEST),
            Code::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Code::NameInvalid => ("name_invalid", StatusCode::BAD_REQUEST),
            Code::NotReached => ("not_reached", StatusCode::GATEWAY_TIMEOUT),
            Code::OtherHistory => ("other_history", StatusCode::CONFLICT),
            Code::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE),
            Code::PathInvalid => ("path_invalid", StatusCode::BAD_REQUEST),
            Code::QueryInvalid => ("query_invalid", StatusCode::BAD_REQUEST),
            Code::RequestTimeout => ("request_timeout", StatusCode::REQUEST_TIMEOUT),
            Code::RouteNotFound => ("route_not_found", StatusCode::NOT_FOUND),
            Code::RowNotFound => ("row_not_found", StatusCode::NOT_FOUND),
            Code::TableNotFound => ("table_not_found", StatusCode::NOT_FOUND),
            Code::TooFarBehind => ("too_far_behind", StatusCode::SERVICE_UNAVAILABLE),
            Code::TooManyKeys => ("too_many_keys", StatusCode::PAYLOAD_TOO_LARGE),
            Code::TooManyWatchers => ("too_many_watchers", StatusCode::TOO_MANY_REQUESTS),
            Code::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED),
            Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// A refused request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    code: Code,
    message: String,
    field: Option<&'static str>,
    #[source]
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

/// When to try again what passes by itself.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: clip(message.into()), field: None, cause: None }
    }

    /// Names the part of the request that is to blame.
    pub(crate) fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// What lies below, for the log.
    pub(crate) fn because(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    pub(crate) fn internal() -> Self {
        Self::new(Code::Internal, "a fault of this server, its log says more")
    }

    pub(crate) fn overloaded() -> Self {
        Self::new(Code::Overloaded, "too many requests in hand, try again")
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The answer as the original gives it: a line of text, with its status.
    pub(crate) fn into_text(self, status: StatusCode) -> Response {
        let mut text = self.message.clone();
        if let Some(cause) = &self.cause {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {}", Chain(cause.as_ref()));
        }
        text.push('\n');
        self.respond(status, "text/plain; charset=utf-8", text)
    }

    fn respond(self, status: StatusCode, kind: &'static str, body: String) -> Response {
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if self.code == Code::Unauthorized {
            let scheme = HeaderValue::from_static("Bearer realm=\"ctlstore read API\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        // Logged around all requests.
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (code, message) = (self.code.as_str(), &self.message);
        let body = json!({"error": {"code": code, "message": message, "field": self.field}});
        let (status, body) = (self.code.status(), body.to_string());
        self.respond(status, "application/json", body)
    }
}

impl From<reader::Error> for Error {
    fn from(error: reader::Error) -> Self {
        use reader::Error as E;
        let (code, field) = match &error {
            E::UnknownFamily { .. } => (Code::FamilyNotFound, Some("family")),
            E::UnknownTable { .. } => (Code::TableNotFound, Some("table")),
            E::Name(_) => (Code::NameInvalid, None),
            E::KeyCount { .. } | E::KeyType { .. } | E::NoPrefix { .. } => {
                (Code::KeyInvalid, Some("key"))
            }
            E::ResumeKey { .. } => (Code::ContinueInvalid, Some("continue")),
            E::Stale { .. } => (Code::TooFarBehind, Some("max-lag-ms")),
            E::NotReached { .. } => (Code::NotReached, Some("min-seq")),
            E::Forked { .. } => (Code::OtherHistory, Some("min-position")),
            E::ViewEnded { .. } | E::Unavailable { .. } => (Code::Unavailable, None),
            _ => (Code::Internal, None),
        };
        let message = match code {
            // Paths of this host are for its log.
            Code::Unavailable => "the LDB cannot be read at the moment, try again".to_owned(),
            Code::Internal => Self::internal().message,
            _ => error.to_string(),
        };
        let refused = Self { field, ..Self::new(code, message) };
        match code {
            Code::Unavailable | Code::Internal => refused.because(error),
            _ => refused,
        }
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal().because(error)
    }
}

/// Messages repeat what the client sent, which may be a megabyte of nonsense.
fn clip(mut text: String) -> String {
    const MAX_BYTES: usize = 2000;
    if text.len() > MAX_BYTES {
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        text.push('…');
    }
    text
}
