//! `ctlstore watch`: changes as they come.

use std::io::Write;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{LeaderTs, Seq, Value};
use reader::changes::{Change, Event, Follow};
use reader::layout::SOCKET;
use serde_json::{Map, json};

use crate::args::{Output, Watch};
use crate::outcome::Outcome;
use crate::print;

/// `ctlstore watch FAMILY [TABLE]`
pub(crate) fn watch(args: &Watch, out: &mut dyn Write) -> Result<Outcome> {
    let mut follow = match (&args.place.url, &args.place.file) {
        (Some(url), _) => Follow::url(url),
        (None, Some(file)) => Follow::file(file),
        (None, None) => Follow::socket(args.place.ldb.join(SOCKET)),
    };
    follow = follow.family(&args.family);
    if let Some(table) = &args.table {
        follow = follow.table(table);
    }
    if let Some(after) = args.after {
        follow = follow.after(Seq::try_from(after)?);
    }
    if let Some(file) = &args.place.token_file {
        let token = std::fs::read_to_string(file);
        let token = token.with_context(|| format!("read the token file {}", file.display()))?;
        follow = follow.token(token.trim());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = daemon::signal::stop_on_signal()?;
        let mut changes = follow.open()?.into_stream()?;
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Outcome::Done),
                event = changes.next() => event?,
            };
            print(&event, args.output, out)?;
            // Whoever follows wants to see it now.
            out.flush()?;
        }
    })
}

fn print(event: &Event, output: Output, out: &mut dyn Write) -> Result<()> {
    match (event, output) {
        (Event::Position(_), _) => {}
        (Event::Change(change), Output::Json) => writeln!(out, "{}", json(change))?,
        (Event::Reload { from }, Output::Json) => {
            writeln!(out, "{}", json!({ "seq": from, "op": "reload" }))?;
        }
        (Event::Change(change), Output::Table) => {
            let seq = change.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
            let key: Vec<_> = change.key.iter().map(|(_, value)| print::cell(value)).collect();
            let (op, family, table) = (change.op.as_str(), &change.family, &change.table);
            let line = format!("{seq}  {op}  {family}  {table}  {}", key.join("  "));
            writeln!(out, "{}", line.trim_end())?;
        }
        (Event::Reload { from }, Output::Table) => {
            let seq = from.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
            writeln!(out, "{seq}  reload  (changes were missed: read again what you keep)")?;
        }
    }
    Ok(())
}

/// Keys as objects, column to value, and bytes as base64, as rows are printed.
fn json(change: &Change) -> serde_json::Value {
    let value = |value: &Value| match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(integer) => (*integer).into(),
        Value::Decimal(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
    };
    let key = change.key.iter().map(|(name, part)| (name.to_string(), value(part)));
    let mut line = json!({
        "seq": change.seq,
        "op": change.op.as_str(),
        "family": change.family,
        "table": change.table,
    });
    if !change.key.is_empty() {
        line["key"] = key.collect::<Map<_, _>>().into();
    }
    let since = change.at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    if let Some(micros) = since.and_then(|since| i64::try_from(since.as_micros()).ok()) {
        let at = LeaderTs::from_micros(micros).to_string().replace(' ', "T");
        line["at"] = format!("{at}Z").into();
    }
    line
}
