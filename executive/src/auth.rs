//! Who may do what: admin tokens, and the two headers of a writer.
//!
//! Tokens and secrets are compared by digest and in constant time; neither is ever printed.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ctldb::{Credentials, Secret};
use ledger::WriterName;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::error::{Code, Error};

/// Header with the writer's name.
pub(crate) const WRITER: &str = "ctlstore-writer";
/// Header with the writer's secret.
pub(crate) const SECRET: &str = "ctlstore-secret";

/// Who may use the admin routes.
#[derive(Debug)]
pub(crate) enum Admins {
    /// Everyone (`--open-admin`).
    Open,
    /// Nobody: neither `--admin-token-file` nor `--open-admin` was given.
    Closed,
    /// Whoever bears one of the tokens. Replaced when the file changes.
    Tokens(RwLock<Arc<Tokens>>),
}

/// The name under which an admin's changes are recorded.
#[derive(Debug, Clone)]
pub(crate) struct Principal(pub(crate) String);

/// The admin tokens of a file.
#[derive(PartialEq, Eq)]
pub(crate) struct Tokens(Vec<Token>);

#[derive(PartialEq, Eq)]
struct Token {
    name: String,
    digest: [u8; 32],
}

/// A token file that cannot be used. The file's text is never repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token in it.
    #[error("the admin token file has no token, write one per line as NAME:TOKEN")]
    Empty,
    /// A token that no HTTP header can carry.
    #[error(
        "line {line} of the admin token file: a token may have letters, digits and -._~+/= only, generate one with \"openssl rand -hex 32\""
    )]
    Characters {
        /// The line, from 1.
        line: usize,
    },
    /// A name that is too long for the record of changes.
    #[error(
        "line {line} of the admin token file: the name is longer than 100 characters, shorten it"
    )]
    Name {
        /// The line, from 1.
        line: usize,
    },
}

impl Tokens {
    /// Reads lines `NAME:TOKEN`, or a bare token, whose name is `admin`. Empty lines and lines that begin with `#` are
    /// passed over. A name may come several times: that is how a token is rotated.
    pub(crate) fn parse(text: &str) -> Result<Self, TokenError> {
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (line, number) = (line.trim(), index + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, token) = line.split_once(':').unwrap_or(("admin", line));
            let (name, token) = (name.trim(), token.trim());
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
            if token.is_empty() || !token.bytes().all(legal) {
                return Err(TokenError::Characters { line: number });
            }
            if name.chars().count() > 100 {
                return Err(TokenError::Name { line: number });
            }
            let name = if name.is_empty() { "admin" } else { name };
            tokens.push(Token { name: name.to_owned(), digest: Sha256::digest(token).into() });
        }
        if tokens.is_empty() {
            return Err(TokenError::Empty);
        }
        Ok(Self(tokens))
    }

    /// Whose token it is. Looks at all of them, so that the time tells nothing.
    fn owner(&self, presented: &str) -> Option<&str> {
        let digest: [u8; 32] = Sha256::digest(presented).into();
        let mut owner = None;
        for token in &self.0 {
            if bool::from(token.digest.ct_eq(&digest)) {
                owner = Some(token.name.as_str());
            }
        }
        owner
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|token| &token.name)).finish()
    }
}

impl Admins {
    pub(crate) fn tokens(tokens: Tokens) -> Self {
        Self::Tokens(RwLock::new(Arc::new(tokens)))
    }

    /// The file has changed. False when nothing is different.
    pub(crate) fn replace(&self, tokens: Tokens) -> bool {
        let Self::Tokens(current) = self else { return false };
        let mut current = current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **current != tokens;
        *current = Arc::new(tokens);
        changed
    }

    fn admit(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        let refuse = |message: &str| Err(Error::new(Code::AdminUnauthorized, message));
        match self {
            Self::Open => Ok(Principal("open-admin".to_owned())),
            Self::Closed => refuse(
                "admin routes are closed: start the executive with --admin-token-file FILE and send \"Authorization: Bearer TOKEN\", or start it with --open-admin",
            ),
            Self::Tokens(tokens) => {
                let Some(presented) = bearer(headers) else {
                    return refuse("no admin token, send \"Authorization: Bearer TOKEN\"");
                };
                let tokens = Arc::clone(&tokens.read().unwrap_or_else(PoisonError::into_inner));
                match tokens.owner(presented) {
                    Some(name) => Ok(Principal(name.to_owned())),
                    None => refuse(
                        "unknown admin token, send one of the executive's --admin-token-file",
                    ),
                }
            }
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets admins pass, with their [`Principal`].
pub(crate) async fn admins_only(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    match app.admins.admit(request.headers()) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
}

/// The writer that the headers name, and the secret that they claim.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials, Error> {
    let get = |name: &str| match headers.get(name) {
        None => Err(Error::new(
            Code::WriterUnauthorized,
            format!("no {name} header, send {WRITER} and {SECRET}"),
        )
        .field(name)),
        // Clients send UTF-8 as it is, which HeaderValue::to_str refuses.
        Some(value) => std::str::from_utf8(value.as_bytes()).map_err(|_| {
            Error::new(Code::HeaderInvalid, format!("header {name} is not UTF-8")).field(name)
        }),
    };
    let (writer, secret) = (get(WRITER)?, get(SECRET)?);
    let writer = WriterName::parse(writer)?;
    Ok(Credentials { writer, secret: Secret::from(secret.to_owned()) })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let value = HeaderValue::from_str(authorization).unwrap();
        [(header::AUTHORIZATION, value)].into_iter().collect()
    }

    #[test]
    fn a_token_names_its_owner() {
        let tokens =
            Tokens::parse("# comment\n\nalice:s3cret\nbob : t0ken \nbare-one\nalice:new\n")
                .unwrap();
        let admins = Admins::tokens(tokens);
        let who = |header: &str| admins.admit(&headers(header)).map(|principal| principal.0);
        assert_eq!(who("Bearer s3cret").unwrap(), "alice");
        assert_eq!(who("bearer new").unwrap(), "alice");
        assert_eq!(who("Bearer t0ken").unwrap(), "bob");
        assert_eq!(who("Bearer bare-one").unwrap(), "admin");
        for wrong in
            ["Bearer S3CRET", "Bearer ", "Bearer", "Basic s3cret", "s3cret", "Bearer alice:s3cret"]
        {
            assert_eq!(who(wrong).unwrap_err().code(), Code::AdminUnauthorized, "{wrong}");
        }
        assert!(admins.admit(&HeaderMap::new()).is_err());

        assert!(admins.replace(Tokens::parse("carol:other").unwrap()));
        assert!(!admins.replace(Tokens::parse("carol:other").unwrap()));
        let who = |header: &str| admins.admit(&headers(header)).map(|principal| principal.0);
        assert!(who("Bearer s3cret").is_err());
        assert_eq!(who("Bearer other").unwrap(), "carol");
    }

    #[test]
    fn without_tokens_the_door_is_open_or_closed_with_the_cure() {
        assert_eq!(Admins::Open.admit(&HeaderMap::new()).unwrap().0, "open-admin");
        let refused = Admins::Closed.admit(&headers("Bearer x")).unwrap_err();
        assert!(
            refused.to_string().contains("--admin-token-file")
                && refused.to_string().contains("--open-admin")
        );
    }

    #[test]
    fn a_bad_file_is_refused_without_repeating_it() {
        assert_eq!(Tokens::parse("\n# none\n"), Err(TokenError::Empty));
        assert_eq!(
            Tokens::parse("ok:fine\nname:two words"),
            Err(TokenError::Characters { line: 2 })
        );
        assert_eq!(Tokens::parse("name:"), Err(TokenError::Characters { line: 1 }));
        assert_eq!(
            Tokens::parse(&format!("{}:x", "n".repeat(101))),
            Err(TokenError::Name { line: 1 })
        );
        let shown = format!("{:?}", Tokens::parse("alice:s3cret").unwrap());
        assert_eq!(shown, "[\"alice\"]");
    }
}
