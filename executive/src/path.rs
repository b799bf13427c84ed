//! Paths: their parameters, and what becomes of those that no route has.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::{Code, Error};

/// The parameters of a path, percent-decoded.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Segments<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let path = Path::from_request_parts(parts, app).await;
        // The routes fix the number of parameters, so only their encoding can be wrong.
        let refuse = |_| Error::new(Code::NameInvalid, "the path is not percent-encoded UTF-8");
        path.map(|Path(segments)| Self(segments)).map_err(refuse)
    }
}

/// No route has this path. An unclean one (`//`, `/./`, `/../`) is sent to the clean one, as the original does. With 301,
/// which makes clients ask again by GET: `POST /families//mutations` must not become a `POST /families/mutations`, which
/// is another request.
pub(crate) async fn not_found(uri: Uri) -> Response {
    let path = clean(uri.path());
    // What browsers take a backslash for is none of our paths, and neither is `*`.
    let is_path = uri.path().starts_with('/') && !path.contains('\\');
    if path == uri.path() || !is_path {
        return Error::new(Code::RouteNotFound, "404 page not found\n").into_response();
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let target = HeaderValue::from_str(&ascii(&format!("{path}{query}")));
    let target = target.expect("BUG: plain ASCII is header text");
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, target)]).into_response()
}

/// The path has another method.
pub(crate) async fn method_not_allowed() -> Error {
    Error::new(Code::MethodNotAllowed, "405 method not allowed")
}

/// The path without empty and dotted segments; a slash at its end stays.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = true;
    for segment in path.split('/') {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let end = if directory && path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// With all else than plain ASCII percent-encoded: a client may send it as it is.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' => out.push(byte.into()),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclean_paths_become_clean() {
        for (path, want) in [
            ("/", "/"),
            ("/families/a", "/families/a"),
            ("/families/a/", "/families/a/"),
            ("//families//a", "/families/a"),
            ("/families/./a", "/families/a"),
            ("/families/x/../a", "/families/a"),
            ("/../..", "/"),
            ("//evil.example/x", "/evil.example/x"),
            ("/a/..", "/"),
        ] {
            assert_eq!(clean(path), want, "{path}");
        }
    }

    #[tokio::test]
    async fn an_unclean_path_is_told_the_clean_one_in_plain_ascii() {
        let location = async |uri: &str| {
            let answer = not_found(uri.parse().unwrap()).await;
            let location = answer.headers().get(header::LOCATION);
            location.map(|value| value.to_str().unwrap().to_owned())
        };
        for (uri, want) in [
            ("/a/../status?x=y", Some("/status?x=y")),
            ("//f\u{fc}r/%2e?\u{fc}", Some("/f%C3%BCr/%2e?%C3%BC")),
            ("/f\u{fc}r", None),
            ("//\\\\evil.example/..", Some("/")),
            ("//\\evil.example", None),
            ("*", None),
        ] {
            assert_eq!(location(uri).await.as_deref(), want, "{uri}");
        }
    }
}
