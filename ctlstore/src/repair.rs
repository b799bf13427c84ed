//! Commands for bad days: a poison entry, a restored database.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use ctldb::{Author, CtlDb, Verified};
use ledger::{CtlDbUrl, Seq};
use tokio::runtime::Runtime;

use crate::args::{CtlDbCommand, CtlDbFile, Skipped};
use crate::outcome::Outcome;

/// `ctlstore ledger skip`
pub(crate) fn skip(file: &CtlDbFile, skip: Skipped, out: &mut dyn Write) -> Result<Outcome> {
    let Skipped { seq, reason, principal } = skip;
    let seq = Seq::try_from(seq)?;
    let author = author(principal, Some(reason.clone()));
    on(file, async |ctldb| ctldb.skip(seq, &reason, &author).await)?;
    writeln!(out, "agents will pass entry {seq} as if it were empty")?;
    Ok(Outcome::Done)
}

/// `ctlstore ledger verify`
pub(crate) fn verify(file: &CtlDbFile, out: &mut dyn Write) -> Result<Outcome> {
    match on(file, async |ctldb| ctldb.verify().await)? {
        Verified { entries: 0, .. } => writeln!(out, "the chain holds: the ledger is empty")?,
        Verified { first, last, entries } => {
            writeln!(out, "the chain holds: {entries} entries, from {first} to {last}")?;
        }
    }
    Ok(Outcome::Done)
}

/// `ctlstore ctldb …`
pub(crate) fn ctldb(args: CtlDbCommand, out: &mut dyn Write) -> Result<Outcome> {
    match args {
        CtlDbCommand::NewHistory { above, reason, principal, ctldb } => {
            let above = Seq::try_from(above)?;
            let author = author(principal, reason);
            let history = on(&ctldb, async |ctldb| ctldb.new_history(above, &author).await)?;
            writeln!(out, "history {history} begins, its first entry comes after {above}")?;
        }
    }
    Ok(Outcome::Done)
}

fn on<T>(file: &CtlDbFile, work: impl AsyncFnOnce(CtlDb) -> Result<T, ctldb::Error>) -> Result<T> {
    let ctldb = CtlDb::open(url(&file.ctldb_url_file)?)?;
    let runtime = Runtime::new()?;
    Ok(runtime.block_on(work(ctldb))?)
}

fn url(file: &PathBuf) -> Result<CtlDbUrl> {
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
