//! Who may do what: admin tokens, and the two headers of a writer. Neither tokens nor secrets are ever printed.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ctldb::{Credentials, Secret};
use daemon::tokens::{Tokens, bearer};
use ledger::WriterName;

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
    /// Whoever bears one of the tokens.
    Tokens(Tokens),
}

/// The name under which an admin's changes are recorded.
#[derive(Debug, Clone)]
pub(crate) struct Principal(pub(crate) String);

impl Admins {
    fn admit(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        let refuse = |message: &str| Err(Error::new(Code::AdminUnauthorized, message));
        match self {
            Self::Open => Ok(Principal("open-admin".to_owned())),
            Self::Closed => refuse(
                "admin routes are closed: start the executive with --admin-token-file FILE and send \"Authorization: Bearer TOKEN\", or start it with --open-admin",
            ),
            Self::Tokens(tokens) => match bearer(headers).map(|token| tokens.owner(token)) {
                None => refuse("no admin token, send \"Authorization: Bearer TOKEN\""),
                Some(None) => {
                    refuse("unknown admin token, send one of the executive's --admin-token-file")
                }
                Some(Some(name)) => Ok(Principal(name)),
            },
        }
    }
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
    use axum::http::{HeaderValue, header};

    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let value = HeaderValue::from_str(authorization).unwrap();
        [(header::AUTHORIZATION, value)].into_iter().collect()
    }

    #[test]
    fn a_token_names_the_principal() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        std::fs::write(&file, "alice:s3cret\nbare-one\n").unwrap();
        let admins = Admins::Tokens(Tokens::load(&file).unwrap());
        let who = |header: &str| admins.admit(&headers(header)).map(|principal| principal.0);
        assert_eq!(who("Bearer s3cret").unwrap(), "alice");
        assert_eq!(who("bearer bare-one").unwrap(), "admin");
        for wrong in ["Bearer S3CRET", "Bearer ", "Bearer", "Basic s3cret", "s3cret"] {
            assert_eq!(who(wrong).unwrap_err().code(), Code::AdminUnauthorized, "{wrong}");
        }
        assert!(admins.admit(&HeaderMap::new()).is_err());
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
}
