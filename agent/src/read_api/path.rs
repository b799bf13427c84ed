//! Paths: `/v1/row/FAMILY/TABLE/KEY…`. A value of a key is one segment, percent-decoded after the path was cut at its
//! slashes, so a value may have slashes of its own.

use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use crate::read_api::error::{Code, Error};

/// Segments before the family: `/v1/row`, `/get-row-by-key`.
const ROOT: &str = "/v1/";

/// Where a request points.
#[derive(Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) family: String,
    pub(crate) table: String,
    /// The values of a key as they are typed.
    pub(crate) key: Vec<String>,
}

impl Target {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Error> {
        let before = if is_v1(uri.path()) { 3 } else { 2 };
        let mut segments = uri.path().split('/').skip(before).map(decode);
        let mut next = || segments.next().unwrap_or_else(|| Ok(String::new()));
        let (family, table) = (next()?, next()?);
        Ok(Self { family, table, key: segments.collect::<Result<_, _>>()? })
    }
}

fn decode(segment: &str) -> Result<String, Error> {
    let text = percent_decode_str(segment).decode_utf8();
    let wrong = |_| Error::new(Code::PathInvalid, "the path is not percent-encoded UTF-8");
    text.map(std::borrow::Cow::into_owned).map_err(wrong)
}

/// Under our own paths, errors are always JSON.
pub(crate) fn is_v1(path: &str) -> bool {
    path == "/v1" || path.starts_with(ROOT)
}

/// A refusal in the form of its path.
pub(crate) fn refuse(path: &str, error: Error) -> Response {
    if is_v1(path) {
        return error.into_response();
    }
    let status = error.code().status();
    error.into_text(status)
}

/// No route has this path.
pub(crate) async fn not_found(uri: Uri) -> Response {
    refuse(uri.path(), Error::new(Code::RouteNotFound, "404 page not found"))
}

/// The path has another method.
pub(crate) async fn method_not_allowed(uri: Uri) -> Response {
    refuse(uri.path(), Error::new(Code::MethodNotAllowed, "405 method not allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_segment_whatever_is_in_it() {
        let check = |path: &str, key: &[&str]| {
            let target = Target::of(&path.parse().unwrap()).unwrap();
            let key: Vec<_> = key.iter().map(|value| (*value).to_owned()).collect();
            let (family, table) = ("fam".to_owned(), "tab".to_owned());
            assert_eq!(target, Target { family, table, key }, "{path}");
        };
        check("/v1/row/fam/tab/a%2Fb/%C3%BC", &["a/b", "ü"]);
        check("/v1/row/fam/tab/", &[""]);
        check("/v1/rows/fam/tab", &[]);
        check("/v1/row/fam/tab/a//b", &["a", "", "b"]);
        check("/get-row-by-key/fam/tab", &[]);
        assert!(Target::of(&"/v1/row/fam/tab/%ff".parse().unwrap()).is_err());
    }
}
