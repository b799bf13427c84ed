//! `ctlstore writer register`.

use std::io::Write;

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::json;

use crate::args::Writer;
use crate::client::http::Ask;
use crate::client::{admin, credentials, run, say};
use crate::outcome::Outcome;

/// `ctlstore writer …`
pub(crate) fn writer(args: Writer, out: &mut dyn Write) -> Result<Outcome> {
    let Writer::Register { writer, secret_file, families, admin: flags } = args;
    let http = admin(&flags)?;
    let secret = credentials::secret(&secret_file)?;
    run(async {
        http.send(Ask::new(Method::POST, &["writers", &writer]).raw(secret)).await?;
        if !families.is_empty() {
            let bind = Ask::new(Method::PUT, &["v1", "writers", &writer, "families"]);
            http.send(bind.json(&json!({ "families": families }))).await.with_context(|| {
                format!(
                    "writer {writer} is known, but not bound to its families, and a new one may write all until it is: correct the cause and give the command again"
                )
            })?;
        }
        Ok(())
    })?;
    let words = match families.as_slice() {
        [] => format!("writer {writer} is known"),
        families => format!("writer {writer} is known, and may write {}", families.join(", ")),
    };
    let bound = (!families.is_empty()).then_some(&families);
    say(flags.output, (words, &json!({ "writer": writer, "families": bound })), out)?;
    Ok(Outcome::Done)
}
