//! Why a server did not do what a command asked, in words for whoever typed it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper_util::client::legacy::Error as ClientError;
use serde::Deserialize;

use crate::client::credentials::CredentialsError;
use crate::client::tls::TlsError;

/// Who is asked, in the words of errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Server {
    /// The executive at this address.
    Executive(String),
    /// Whoever serves at this address: an executive, an agent or a sidecar.
    Any(String),
}

impl Server {
    fn who(&self) -> &'static str {
        match self {
            Self::Executive(_) => "the executive",
            Self::Any(_) => "the server",
        }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Executive(url) | Self::Any(url) => url,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.who(), self.url())
    }
}

/// Why a server did not do what a command asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "--url is not an address like http://HOST:PORT; it has neither a name and password nor a query"
    )]
    Url,
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot find out whom this machine trusts, name the authorities with --ca-file")]
    Roots(#[source] io::Error),
    #[error("cannot trust {server}, name the authority of its certificate with --ca-file")]
    Untrusted { server: Server, source: ClientError },
    #[error("cannot reach {server}, look whether it runs there")]
    Unreachable { server: Server, source: ClientError },
    #[error("{server} broke off its answer")]
    Broken { server: Server, source: hyper::Error },
    #[error("{server} did not answer within {timeout:?}")]
    Silent { server: Server, timeout: Duration },
    #[error("{server} answers what no ctlstore answers: {what}")]
    Nonsense { server: Server, what: String },
    #[error("{0}")]
    Refused(Refusal),
}

/// What a server answers to a request that it does not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Who it is.
    pub(crate) who: &'static str,
    pub(crate) status: StatusCode,
    /// For programs; the original has none.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    /// The part of the request that is to blame.
    pub(crate) field: Option<String>,
    /// When to try again.
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Body {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    message: String,
    field: Option<String>,
}

impl Error {
    pub(crate) fn connection(server: &Server, source: ClientError) -> Self {
        let server = server.clone();
        if is_certificate(&source) {
            Self::Untrusted { server, source }
        } else {
            Self::Unreachable { server, source }
        }
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Was it refused with this status?
    pub(crate) fn is(&self, status: StatusCode) -> bool {
        self.refusal().is_some_and(|refusal| refusal.status == status)
    }

    /// May the same request go well later, with nothing changed by anybody? None: no. Some: not before so long.
    pub(crate) fn passes_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Silent { .. } => {
                Some(Duration::ZERO)
            }
            Self::Refused(refusal) => match refusal.status {
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => Some(refusal.retry_after.unwrap_or_default()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Refusal {
    pub(crate) fn read(
        server: &Server,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let (code, message, field) = match serde_json::from_slice::<Body>(body) {
            Ok(Body { error: Reason { code, message, field } }) => (Some(code), message, field),
            Err(_) => (None, String::from_utf8_lossy(body).trim().to_owned(), None),
        };
        // An answer must not play with the terminal.
        let message = message.replace(|c: char| c.is_control(), " ");
        let retry_after = seconds.map(Duration::from_secs);
        Self { who: server.who(), status, code, message, field, retry_after }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, status) = (self.who, self.status.as_u16());
        match self.message.as_str() {
            "" => write!(f, "{who} answers {}", self.status)?,
            message => write!(f, "{who} answers {status}: {message}")?,
        }
        match &self.field {
            Some(field) => write!(f, " ({field})"),
            None => Ok(()),
        }
    }
}

/// Is it the certificate that is to blame? rustls tells it inside of I/O errors, which do not name it as their source.
fn is_certificate(error: &(dyn StdError + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match inner {
        Some(inner) => is_certificate(inner),
        None => error.source().is_some_and(is_certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, retry_after: Option<&'static str>, body: &str) -> Error {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let server = Server::Executive("http://x".to_owned());
        Error::Refused(Refusal::read(&server, status, &headers, body.as_bytes()))
    }

    #[test]
    fn an_answer_becomes_a_sentence() {
        for (status, body, want) in [
            (404, "Family not found", "the executive answers 404: Family not found"),
            (500, "", "the executive answers 500 Internal Server Error"),
            (502, "<html>\u{1b}[2J</html>\n", "the executive answers 502: <html> [2J</html>"),
            (
                400,
                r#"{"error":{"code":"value_invalid","message":"no integer","field":"mutations[3].values.n"}}"#,
                "the executive answers 400: no integer (mutations[3].values.n)",
            ),
        ] {
            assert_eq!(read(status, None, body).to_string(), want);
        }
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        assert_eq!(read(429, Some("7"), "").passes_after(), Some(Duration::from_secs(7)));
        assert_eq!(read(503, Some("soon"), "").passes_after(), Some(Duration::ZERO));
        for status in [400, 401, 403, 404, 409, 413, 500, 507] {
            assert_eq!(read(status, Some("7"), "").passes_after(), None, "{status}");
        }
        assert!(read(409, None, "").is(StatusCode::CONFLICT));
    }
}
