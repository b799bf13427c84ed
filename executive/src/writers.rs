//! `POST /writers/{w}`, and who of the writers has shown its secret.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use ctldb::{Created, Credentials, Secret};
use ledger::WriterName;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::audit;
use crate::auth::{SECRET, WRITER};
use crate::body;
use crate::caller::Caller;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::ticket::Ticket;

/// Registers a writer; the body is its secret. Registering it again with the same secret is no mistake.
pub(crate) async fn register(
    State(app): State<App>,
    ticket: Ticket,
    Segments(writer): Segments<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Error> {
    let writer = WriterName::parse(&writer)?;
    presentable(writer.as_str().as_bytes(), "writer's name", (WRITER, Code::NameInvalid))?;
    let body = body::read(body, &ticket).await?;
    check_length(&body)?;
    let secret = presentable(&body, "secret", (SECRET, Code::SecretInvalid))?;
    let secret = Secret::from(secret.to_owned());
    let (db, of) = (app.db.clone(), writer.clone());
    let register = async move { db.register_writer(&of, &secret).await };
    if app.carry_out(&ticket, register).await?? == Created::New {
        audit::set(&caller.admin(), "register writer", &writer);
    }
    Ok(StatusCode::OK)
}

/// In the original's words, and as it counts: bytes.
fn check_length(secret: &[u8]) -> Result<(), Error> {
    let text = match secret.len() {
        ..3 => "Secret should be at least 3 characters",
        3..=100 => return Ok(()),
        _ => "Secret can be at most 100 characters",
    };
    Err(Error::new(Code::SecretInvalid, text))
}

/// A name or a secret that no header can carry would lock its writer out for ever.
fn presentable<'a>(
    bytes: &'a [u8],
    what: &str,
    (header, code): (&str, Code),
) -> Result<&'a str, Error> {
    let text = std::str::from_utf8(bytes).ok();
    let text = text.filter(|text| text.trim() == *text && !text.contains(|c: char| c.is_control()));
    let refused = || {
        let text = format!(
            "the {what} cannot stand in the header {header}: send UTF-8 without line breaks and without spaces around it"
        );
        Error::new(code, text)
    };
    text.ok_or_else(refused)
}

/// Writers that showed the right secret. It only keeps strangers from taking the ledger lock: ctldb checks the secret
/// again, under the lock.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashSet<[u8; 32]>>);

impl Known {
    const MAX: usize = 4096;

    fn contains(&self, proof: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(proof)
    }

    fn add(&self, proof: [u8; 32]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MAX {
            known.clear();
        }
        known.insert(proof);
    }
}

impl App {
    /// Has the writer shown its secret? The headers are those that its credentials came in.
    pub(crate) async fn authenticate(
        &self,
        ticket: &Ticket,
        credentials: &Credentials,
        headers: &HeaderMap,
    ) -> Result<(), Error> {
        let secret = headers.get(SECRET).map_or(&[][..], |value| value.as_bytes());
        let proof: [u8; 32] = Sha256::new()
            .chain_update(Sha256::digest(credentials.writer.as_str()))
            .chain_update(secret)
            .finalize()
            .into();
        if !self.known.contains(&proof) {
            self.ask(ticket, self.db.cookie(credentials)).await?;
            self.known.add(proof);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_must_fit_a_header() {
        let presentable = |bytes| presentable(bytes, "secret", (SECRET, Code::SecretInvalid));
        for good in ["secret", "two words", "grüße", "!\"#$%&'()"] {
            assert_eq!(presentable(good.as_bytes()).unwrap(), good);
        }
        for bad in [&b"secret\n"[..], b" secret", b"sec\0ret", b"sec\xffret", b"a\tb"] {
            let error = presentable(bad).unwrap_err();
            assert_eq!(error.code(), Code::SecretInvalid);
            assert!(
                !error.to_string().contains("sec\u{0}")
                    && error.to_string().contains("line breaks")
            );
        }
    }
}
