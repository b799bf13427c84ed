//! `ctlstore family create`.

use std::io::Write;

use anyhow::Result;
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::args::Family;
use crate::client::http::Ask;
use crate::client::{admin, run, say};
use crate::outcome::Outcome;

/// `ctlstore family …`
pub(crate) fn family(args: Family, out: &mut dyn Write) -> Result<Outcome> {
    let Family::Create { family, admin: flags } = args;
    let http = admin(&flags)?;
    let ask = Ask::new(Method::POST, &["families", &family]);
    let created = match run(async { Ok(http.send(ask).await) })? {
        Ok(_) => true,
        // As in the original: a script may run twice.
        Err(error) if error.is(StatusCode::CONFLICT) => false,
        Err(error) => return Err(error.into()),
    };
    let words = match created {
        true => format!("family {family} is made"),
        false => format!("family {family} is there already"),
    };
    say(flags.output, (words, &json!({ "family": family, "created": created })), out)?;
    Ok(Outcome::Done)
}
