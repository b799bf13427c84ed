//! Paths: their parameters, and what becomes of those that no route has.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
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

/// No route has this path. An unclean one (`//`, `/./`, `/../`) is sent to the clean one, as the original does; with
/// 308 where 301 would make a GET of it.
pub(crate) async fn not_found(method: Method, uri: Uri) -> Response {
    let path = clean(uri.path());
    if path == uri.path() {
        return Error::new(Code::RouteNotFound, "404 page not found").into_response();
    }
    let target = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let status = match method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let target = HeaderValue::from_str(&target).expect("BUG: parts of a URI are header text");
    (status, [(header::LOCATION, target)]).into_response()
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
}
