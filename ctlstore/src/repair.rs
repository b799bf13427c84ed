//! Commands for bad days: a poison entry, a restored database.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ctldb::{Author, CtlDb, Verified};
use ledger::{CtlDbUrl, Seq};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::args::{CtlDbCommand, CtlDbFile, Output, Skipped};
use crate::client::say;
use crate::outcome::Outcome;

/// `ctlstore ledger skip`
pub(crate) fn skip(file: &CtlDbFile, skip: Skipped, out: &mut dyn Write) -> Result<Outcome> {
    let Skipped { seq, reason, principal, output } = skip;
    let seq = Seq::try_from(seq)?;
    let author = author(principal, Some(reason.clone()));
    on(file, async |ctldb| ctldb.skip(seq, &reason, &author).await)?;
    let words = format!("agents will pass entry {seq} as if it were empty");
    say(output, (words, &json!({ "skipped": seq, "reason": reason })), out)?;
    Ok(Outcome::Done)
}

/// `ctlstore ledger verify`
pub(crate) fn verify(file: &CtlDbFile, output: Output, out: &mut dyn Write) -> Result<Outcome> {
    let Verified { first, last, entries } = on(file, async |ctldb| ctldb.verify().await)?;
    let words = match entries {
        0 => "the chain holds: the ledger is empty".to_owned(),
        entries => format!("the chain holds: {entries} entries, from {first} to {last}"),
    };
    say(output, (words, &json!({ "entries": entries, "first": first, "last": last })), out)?;
    Ok(Outcome::Done)
}

/// `ctlstore ctldb …`
pub(crate) fn ctldb(args: CtlDbCommand, out: &mut dyn Write) -> Result<Outcome> {
    match args {
        CtlDbCommand::NewHistory { above, reason, principal, output, ctldb } => {
            let above = Seq::try_from(above)?;
            let author = author(principal, reason);
            let history = on(&ctldb, async |ctldb| ctldb.new_history(above, &author).await)?;
            let words = format!("history {history} begins, its first entry comes after {above}");
            say(output, (words, &json!({ "history": history, "above": above })), out)?;
        }
    }
    Ok(Outcome::Done)
}

/// Does something with ctldb.
pub(crate) fn on<T, E>(file: &CtlDbFile, work: impl AsyncFnOnce(CtlDb) -> Result<T, E>) -> Result<T>
where
    anyhow::Error: From<E>,
{
    let ctldb = CtlDb::open(url(&file.ctldb_url_file)?)?;
    let runtime = Runtime::new()?;
    Ok(runtime.block_on(work(ctldb))?)
}

pub(crate) fn url(file: &Path) -> Result<CtlDbUrl> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read {}, the file of --ctldb-url-file", file.display()))?;
    let url =
        CtlDbUrl::parse(&text).with_context(|| format!("{} holds no ctldb URL", file.display()))?;
    // Nothing is repaired by making an empty database where a path is mistyped.
    if let CtlDbUrl::Sqlite(path) = &url
        && !path.is_file()
    {
        bail!("no ctldb at {}: correct the path in {}", path.display(), file.display());
    }
    Ok(url)
}

/// Whoever sits at the command line.
fn author(principal: String, reason: Option<String>) -> Author {
    Author {
        writer: None,
        principal,
        source_address: "command line".to_owned(),
        request_id: String::new(),
        reason,
    }
}
