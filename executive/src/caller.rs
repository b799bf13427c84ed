//! Who calls: the request's id, where it came from, and why it was made.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ctldb::Author;
use daemon::serve::Peer;
use ledger::WriterName;
use uuid::Uuid;

use crate::app::App;
use crate::auth::Principal;
use crate::error::{Code, Error};

/// Header with the id of a request; made when it is absent, and given back.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header with the reason of a change, kept with it.
pub(crate) const REASON: &str = "ctlstore-reason";

/// The longest that the record of changes keeps.
const MAX_REQUEST_ID_BYTES: usize = 64;
const MAX_REASON_CHARACTERS: usize = 1024;

/// What is known of a request before anyone looks into it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) request_id: String,
    pub(crate) source_address: String,
    /// The subject of the client's certificate.
    pub(crate) certificate: Option<String>,
}

/// Who makes a change, as far as the request tells.
#[derive(Debug)]
pub(crate) struct Caller {
    origin: Origin,
    /// The admin, on admin routes.
    principal: Option<Principal>,
    reason: Option<String>,
}

impl Origin {
    pub(crate) fn of(headers: &HeaderMap, peer: Option<&Peer>) -> Self {
        // It is given back and stands in logs, so it is one plain word.
        let is_word = |id: &&str| {
            (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_word);
        Self {
            request_id: given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned),
            source_address: peer
                .and_then(|peer| peer.addr)
                .map_or_else(String::new, |addr| addr.ip().to_canonical().to_string()),
            certificate: peer.and_then(|peer| peer.certificate.as_deref().map(str::to_owned)),
        }
    }
}

impl Caller {
    /// As an admin: by the token's name.
    pub(crate) fn admin(self) -> Author {
        let principal = self.principal.expect("BUG: admin routes have a principal");
        self.origin.author(None, principal.0, self.reason)
    }

    /// As a writer that showed its secret: by the certificate where the client has one.
    pub(crate) fn writer(self, writer: WriterName) -> Author {
        let principal = self.origin.certificate.clone().unwrap_or_else(|| writer.to_string());
        self.origin.author(Some(writer), principal, self.reason)
    }
}

impl Origin {
    fn author(
        self,
        writer: Option<WriterName>,
        principal: String,
        reason: Option<String>,
    ) -> Author {
        let Self { request_id, source_address, certificate: _ } = self;
        Author { writer, principal, source_address, request_id, reason }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let origin = parts.extensions.get::<Origin>().cloned();
        Ok(Self {
            origin: origin.expect("BUG: every request passes through the observer"),
            principal: parts.extensions.get::<Principal>().cloned(),
            reason: reason(&parts.headers)?,
        })
    }
}

fn reason(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get(REASON) else { return Ok(None) };
    // One line in every log and terminal.
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if text.chars().count() <= MAX_REASON_CHARACTERS && !text.contains(breaks) => {
            Ok(Some(text.to_owned()))
        }
        Ok(_) | Err(_) => Err(Error::new(
            Code::HeaderInvalid,
            format!(
                "header {REASON} takes one line of at most {MAX_REASON_CHARACTERS} characters of UTF-8"
            ),
        )
        .field(REASON)),
    }
}
