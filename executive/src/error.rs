//! What a refused request is told: one type with a status, a code for programs, a sentence for people and, where one
//! field of the request is to blame, its name.
//!
//! The answer is plain text, as the original's; a client that accepts `application/json` gets
//! `{"error":{"code","message","field"}}`. Where the original has a text for the case, the text is kept.

mod from_ctldb;
pub(crate) mod from_ledger;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused, for programs. Each has one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    AdminUnauthorized,
    BodyTooLarge,
    BodyUnreadable,
    ColumnExists,
    ColumnUnknown,
    CookieConflict,
    CookieTooLong,
    DestructiveDisabled,
    FamilyExists,
    FamilyNotFound,
    HeaderInvalid,
    HistoryBehindFleet,
    Internal,
    JsonInvalid,
    KeyInvalid,
    LimitInvalid,
    LimitNotFound,
    LimitOwned,
    MethodNotAllowed,
    NameInvalid,
    NoMutations,
    Overloaded,
    QueryInvalid,
    RateLimited,
    RequestTimeout,
    RouteNotFound,
    SchemaBusy,
    SchemaInvalid,
    SecretInvalid,
    StatementTooLarge,
    TableExists,
    TableFull,
    TableNotFound,
    TableOwned,
    TableRetained,
    TableTooWide,
    Timeout,
    TooManyMutations,
    Unavailable,
    Unsure,
    ValueInvalid,
    WriterBound,
    WriterExists,
    WriterNotFound,
    WriterUnauthorized,
}

impl Code {
    /// Its text in answers and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        self.both().0
    }

    pub(crate) fn status(self) -> StatusCode {
        self.both().1
    }

    /// Is it worth a line in the log? Not what the client can cure, and not what comes by the thousand: the metrics count it.
    pub(crate) fn is_failure(self) -> bool {
        let expected =
            matches!(self, Self::HistoryBehindFleet | Self::Overloaded | Self::TableFull);
        self.status().is_server_error() && !expected
    }

    fn both(self) -> (&'static str, StatusCode) {
        match self {
            Code::AdminUnauthorized => ("admin_unauthorized", StatusCode::UNAUTHORIZED),
            Code::BodyTooLarge => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Code::BodyUnreadable => ("body_unreadable", StatusCode::BAD_REQUEST),
            Code::ColumnExists => ("column_exists", StatusCode::CONFLICT),
            Code::ColumnUnknown => ("column_unknown", StatusCode::BAD_REQUEST),
            Code::CookieConflict => ("cookie_conflict", StatusCode::CONFLICT),
            Code::CookieTooLong => ("cookie_too_long", StatusCode::BAD_REQUEST),
            Code::DestructiveDisabled => ("destructive_disabled", StatusCode::BAD_REQUEST),
            Code::FamilyExists => ("family_exists", StatusCode::CONFLICT),
            Code::FamilyNotFound => ("family_not_found", StatusCode::NOT_FOUND),
            Code::HeaderInvalid => ("header_invalid", StatusCode::BAD_REQUEST),
            Code::HistoryBehindFleet => ("history_behind_fleet", StatusCode::SERVICE_UNAVAILABLE),
            Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Code::JsonInvalid => ("json_invalid", StatusCode::BAD_REQUEST),
            Code::KeyInvalid => ("key_invalid", StatusCode::BAD_REQUEST),
            Code::LimitInvalid => ("limit_invalid", StatusCode::BAD_REQUEST),
            Code::LimitNotFound => ("limit_not_found", StatusCode::NOT_FOUND),
            Code::LimitOwned => ("limit_owned", StatusCode::CONFLICT),
            Code::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Code::NameInvalid => ("name_invalid", StatusCode::BAD_REQUEST),
            Code::NoMutations => ("no_mutations", StatusCode::BAD_REQUEST),
            Code::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE),
            Code::QueryInvalid => ("query_invalid", StatusCode::BAD_REQUEST),
            Code::RateLimited => ("rate_limited", StatusCode::TOO_MANY_REQUESTS),
            Code::RequestTimeout => ("request_timeout", StatusCode::REQUEST_TIMEOUT),
            Code::RouteNotFound => ("route_not_found", StatusCode::NOT_FOUND),
            Code::SchemaBusy => ("schema_busy", StatusCode::SERVICE_UNAVAILABLE),
            Code::SchemaInvalid => ("schema_invalid", StatusCode::BAD_REQUEST),
            Code::SecretInvalid => ("secret_invalid", StatusCode::BAD_REQUEST),
            Code::StatementTooLarge => ("statement_too_large", StatusCode::BAD_REQUEST),
            Code::TableExists => ("table_exists", StatusCode::CONFLICT),
            Code::TableFull => ("table_full", StatusCode::INSUFFICIENT_STORAGE),
            Code::TableNotFound => ("table_not_found", StatusCode::NOT_FOUND),
            Code::TableOwned => ("table_owned", StatusCode::CONFLICT),
            Code::TableRetained => ("table_retained", StatusCode::CONFLICT),
            Code::TableTooWide => ("table_too_wide", StatusCode::BAD_REQUEST),
            Code::Timeout => ("timeout", StatusCode::GATEWAY_TIMEOUT),
            Code::TooManyMutations => ("too_many_mutations", StatusCode::PAYLOAD_TOO_LARGE),
            Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Code::Unsure => ("unsure", StatusCode::GATEWAY_TIMEOUT),
            Code::ValueInvalid => ("value_invalid", StatusCode::BAD_REQUEST),
            Code::WriterBound => ("writer_bound", StatusCode::FORBIDDEN),
            Code::WriterExists => ("writer_exists", StatusCode::CONFLICT),
            Code::WriterNotFound => ("writer_not_found", StatusCode::NOT_FOUND),
            Code::WriterUnauthorized => ("writer_unauthorized", StatusCode::UNAUTHORIZED),
        }
    }
}

/// A refused request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    code: Code,
    message: String,
    field: Option<String>,
    /// When the client may try again.
    retry_after: Option<Duration>,
    /// For the log, never for the client: it may name hosts.
    #[source]
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let message = clip(message.into());
        Self { code, message, field: None, retry_after: None, cause: None }
    }

    /// Names the part of the request that is to blame, such as `mutations[3].values.name`.
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(clip(field.into()));
        self
    }

    pub(crate) fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    pub(crate) fn because(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Puts words before the message, as in `creating table for family "f" table "t": `.
    pub(crate) fn context(mut self, words: &str) -> Self {
        self.message = format!("{words}{}", self.message);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The part of the request that is to blame.
    pub(crate) fn blamed(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The answer as JSON, in place of plain text.
    pub(crate) fn into_json_response(self) -> Response {
        let Self { code, message, field, .. } = &self;
        // Some of the original's texts end a line.
        let message = message.trim_end();
        let body = json!({"error": {"code": code.as_str(), "message": message, "field": field}});
        self.respond("application/json", body.to_string())
    }

    fn respond(self, content_type: &'static str, body: String) -> Response {
        let mut response = (self.code.status(), body).into_response();
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        set(header::CONTENT_TYPE, content_type);
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        match self.code {
            Code::AdminUnauthorized => {
                set(header::WWW_AUTHENTICATE, "Bearer realm=\"ctlstore admin\"");
            }
            // A scheme of our own; the original's clients send the two headers unasked.
            Code::WriterUnauthorized => {
                set(header::WWW_AUTHENTICATE, "ctlstore-secret realm=\"ctlstore writer\"");
            }
            _ => {}
        }
        if let Some(pause) = self.retry_after {
            // Rounded up: earlier, the same happens again.
            let seconds = pause.as_millis().div_ceil(1000).max(1);
            headers.insert(header::RETRY_AFTER, u64::try_from(seconds).unwrap_or(u64::MAX).into());
        }
        // The middleware logs it, counts it, and may say it in JSON.
        response.extensions_mut().insert(self);
        response
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

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = self.message.clone();
        self.respond("text/plain; charset=utf-8", body)
    }
}
