//! A client of the executive, or of whoever serves HTTP: one request at a time, each with an end.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::args::Executive;
use crate::client::credentials::Credentials;
use crate::client::error::{Error, Refusal, Server};
use crate::client::tls;

/// An executive ends each request within 30 s, unless it was told otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);
/// For the connection alone.
const CONNECT: Duration = Duration::from_secs(5);
/// What stands in a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A server, and what to show there.
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    server: Server,
    credentials: Credentials,
}

/// What to ask.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer of 200.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Http {
    /// An executive.
    pub(crate) fn new(flags: &Executive, credentials: Credentials) -> Result<Self, Error> {
        let Executive { url, ca_file } = flags;
        Self::of(Server::Executive, url, ca_file.as_deref(), credentials)
    }

    /// A server of this kind.
    pub(crate) fn of(
        kind: fn(String) -> Server,
        url: &str,
        ca_file: Option<&Path>,
        credentials: Credentials,
    ) -> Result<Self, Error> {
        let base = base(url).ok_or(Error::Url)?;
        let builder = HttpsConnectorBuilder::new();
        let builder = match ca_file {
            Some(file) => builder.with_tls_config(tls::trusting(file)?),
            None if base.starts_with("http:") => {
                let nobody = rustls::RootCertStore::empty();
                let config = rustls::ClientConfig::builder().with_root_certificates(nobody);
                builder.with_tls_config(config.with_no_client_auth())
            }
            None => builder.with_native_roots().map_err(Error::Roots)?,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, server: kind(base), credentials })
    }

    /// The same server, to which something else is shown.
    pub(crate) fn with(&self, credentials: Credentials) -> Self {
        Self { client: self.client.clone(), server: self.server.clone(), credentials }
    }

    /// Asks, and reads the whole answer.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Answer, Error> {
        let server = self.server.clone();
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(ask)).await;
        answer.unwrap_or(Err(Error::Silent { server, timeout: TIMEOUT }))
    }

    /// Asks for JSON.
    pub(crate) async fn read<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let Answer { headers: _, body } = self.send(ask).await?;
        let nonsense = |error: serde_json::Error| Error::Nonsense {
            server: self.server.clone(),
            what: error.to_string(),
        };
        serde_json::from_slice(&body).map_err(nonsense)
    }

    async fn exchange(&self, ask: Ask) -> Result<Answer, Error> {
        let Ask { method, path, headers, body } = ask;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() =
            format!("{}{path}", self.server.url()).parse().map_err(|_| Error::Url)?;
        *request.headers_mut() = headers;
        self.credentials.show(request.headers_mut());
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|source| Error::connection(&self.server, source))?;
        let (head, body) = answer.into_parts();
        let broken = |source| Error::Broken { server: self.server.clone(), source };
        let body = body.collect().await.map_err(broken)?.to_bytes();
        if head.status == StatusCode::OK {
            return Ok(Answer { headers: head.headers, body });
        }
        Err(Error::Refused(Refusal::read(&self.server, head.status, &head.headers, &body)))
    }
}

impl Ask {
    /// Asks for a path, whose segments are given one by one: whatever is in a name, it stays one.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self { method, path, headers, body: Bytes::new() }
    }

    pub(crate) fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.path = format!("{}?{query}", self.path);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = body.to_string().into();
        self
    }

    pub(crate) fn raw(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// Scheme, host, port and the path before ours. A name and a password in it would be seen by everybody on the machine.
fn base(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let sound = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && uri.query().is_none();
    sound.then(|| url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_no_secret() {
        for (url, want) in [
            ("http://127.0.0.1:3000", Some("http://127.0.0.1:3000")),
            ("https://ctl.example/ctlstore/", Some("https://ctl.example/ctlstore")),
            ("http://[::1]:3000/", Some("http://[::1]:3000")),
            ("127.0.0.1:3000", None),
            ("ctlstore-executive", None),
            ("ftp://host", None),
            ("http://me:hunter2@host", None),
            ("http://host/?x=y", None),
            ("http://", None),
        ] {
            assert_eq!(base(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn a_segment_stays_one_whatever_is_in_it() {
        let ask = Ask::get(&["v1", "history", "a/b", "..", "0x00 é?"]);
        assert_eq!(ask.path, "/v1/history/a%2Fb/../0x00%20%C3%A9%3F");
    }
}
