//! `ctlstore ledger tail` and `show`: entries as the executive tells them, with who made them.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::args::{Admin, Output};
use crate::client::http::{Ask, Http};
use crate::client::{admin, run};
use crate::outcome::Outcome;
use crate::print;

/// The most entries that one answer has.
const PAGE: u64 = 1000;
/// How often `--follow` looks.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Entries {
    head: u64,
    /// That and why the first of them are missing.
    gone: Option<String>,
    entries: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    seq: u64,
    at: Option<String>,
    statement: String,
    digest: Option<String>,
    batch: Option<Batch>,
}

#[derive(Debug, Deserialize)]
struct Batch {
    first_seq: u64,
    last_seq: u64,
    writer: Option<String>,
    principal: Option<String>,
    source_address: Option<String>,
    request_id: Option<String>,
    reason: Option<String>,
}

/// `ctlstore ledger tail`
pub(crate) fn tail(
    (lines, follow): (u16, bool),
    flags: &Admin,
    out: &mut dyn Write,
) -> Result<Outcome> {
    let http = admin(flags)?;
    run(async {
        let head = entries(&http, 0, 1).await?.head;
        let mut after = head.saturating_sub(lines.into());
        loop {
            let Entries { head, gone: _, entries } = entries(&http, after, PAGE).await?;
            for entry in &entries {
                after = print_line(entry, flags.output, out)?.max(after);
            }
            // Whoever follows wants to see it now.
            out.flush()?;
            let more = after < head && !entries.is_empty();
            if more {
                continue;
            }
            if !follow {
                return Ok(Outcome::Done);
            }
            tokio::time::sleep(LOOK).await;
        }
    })
}

/// `ctlstore ledger show SEQ`
pub(crate) fn show(seq: u64, flags: &Admin, out: &mut dyn Write) -> Result<Outcome> {
    let http = admin(flags)?;
    let Some(before) = seq.checked_sub(1) else {
        return Ok(Outcome::NotFound("the ledger begins at sequence 1".to_owned()));
    };
    let found = run(entries(&http, before, 1))?;
    let Entries { head, gone, entries } = found;
    let entry = entries.into_iter().find(|entry| entry["seq"] == seq);
    let Some(json) = entry else {
        let why = gone.unwrap_or_else(|| format!("the last one is {head}"));
        return Ok(Outcome::NotFound(format!("no entry {seq}: {why}")));
    };
    if flags.output == Output::Json {
        writeln!(out, "{json}")?;
        return Ok(Outcome::Done);
    }
    let Entry { seq, at, statement, digest, batch } = entry_of(&json)?;
    let text = |text: Option<String>| print::line(&text.unwrap_or_default());
    let mut facts = vec![("seq", seq.to_string()), ("time", text(at)), ("digest", text(digest))];
    if let Some(batch) = batch {
        let Batch { first_seq, last_seq, writer, principal, source_address, request_id, reason } =
            batch;
        facts.extend([
            ("batch", format!("{first_seq} to {last_seq}")),
            ("writer", text(writer)),
            ("principal", text(principal)),
            ("from", text(source_address)),
            ("request", text(request_id)),
            ("reason", text(reason)),
        ]);
    }
    facts.push(("statement", print::line(&statement)));
    print::facts(&facts, out)?;
    Ok(Outcome::Done)
}

async fn entries(http: &Http, after: u64, limit: u64) -> Result<Entries> {
    let ask = Ask::get(&["v1", "ledger"]).query(&format!("after={after}&limit={limit}"));
    Ok(http.read(ask).await?)
}

/// One entry on one line; its sequence.
fn print_line(json: &Value, output: Output, out: &mut dyn Write) -> Result<u64> {
    let Entry { seq, at, statement, digest: _, batch } = entry_of(json)?;
    match output {
        Output::Json => writeln!(out, "{json}")?,
        Output::Table => {
            let who = batch.and_then(|batch| batch.writer.or(batch.principal));
            let (at, who) = (at.unwrap_or_default(), print::line(&who.unwrap_or_default()));
            writeln!(out, "{seq}  {at}  {who}  {}", print::line(&statement))?;
        }
    }
    Ok(seq)
}

fn entry_of(json: &Value) -> Result<Entry> {
    Entry::deserialize(json).context("the executive tells an entry that this release cannot read")
}
