//! `ctlstore agent rebuild`: asks the agent on this node for a new LDB, and shows how it comes along.

use std::io::Write;

use agent::control::Line;
use agent::control::client;
use anyhow::{Result, bail};
use serde_json::json;

use crate::args::{Output, Rebuild};
use crate::client::say;
use crate::outcome::Outcome;

/// `ctlstore agent rebuild`
pub(crate) fn rebuild(args: &Rebuild, out: &mut dyn Write) -> Result<Outcome> {
    let mut told = Ok(());
    let mut last = String::new();
    let line = client::rebuild(&args.ldb_dir, |line| {
        let text = words(line, args.output);
        if line.ok.is_none() && text != last && told.is_ok() {
            told = writeln!(out, "{text}").and_then(|()| out.flush());
            last = text;
        }
    })?;
    told?;
    let message = line.message.unwrap_or_default();
    if line.ok != Some(true) {
        bail!("{message}");
    }
    let done = json!({ "phase": line.phase, "message": message, "ok": true });
    say(args.output, (format!("done: {message}"), &done), out)?;
    Ok(Outcome::Done)
}

fn words(line: &Line, output: Output) -> String {
    if output == Output::Json {
        return json!(line).to_string();
    }
    let Line { phase, message, bytes, of, ok: _ } = line;
    let phase = phase.replace('_', " ");
    match (message, of) {
        (Some(message), _) => format!("{phase}: {message}"),
        (None, 0) => phase,
        (None, of) => format!("{phase}: {bytes} of {of} bytes"),
    }
}
