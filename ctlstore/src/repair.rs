//! Commands for bad days: a poison entry, a restored database.

use std::fs;
use std::io::Write;

use anyhow::{Context, Result};
use ctldb::{Author, CtlDb, Verified};
use ledger::{CtlDbUrl, Seq};
use tokio::runtime::Runtime;

use crate::args::{CtlDbCommand, CtlDbFile, Ledger};
use crate::outcome::Outcome;

/// `ctlstore ledger …`
pub(crate) fn ledger(args: Ledger, out: &mut dyn Write) -> Result<Outcome> {
    match args {
        Ledger::Skip { seq, reason, ctldb } => {
            let seq = Seq::try_from(seq)?;
            on(&ctldb, async |ctldb| ctldb.skip(seq, &reason, &author()).await)?;
            writeln!(out, "agents will pass entry {seq} as if it were empty")?;
        }
        Ledger::Verify { ctldb } => {
            let Verified { first, last, entries } = on(&ctldb, async |ctldb| ctldb.verify().await)?;
            writeln!(out, "the chain holds: {entries} entries, from {first} to {last}")?;
        }
    }
    Ok(Outcome::Done)
}

/// `ctlstore ctldb …`
pub(crate) fn ctldb(args: CtlDbCommand, out: &mut dyn Write) -> Result<Outcome> {
    match args {
        CtlDbCommand::NewHistory { above, ctldb } => {
            let above = Seq::try_from(above)?;
            let history = on(&ctldb, async |ctldb| ctldb.new_history(above, &author()).await)?;
            writeln!(out, "new history {history}, its entries begin above {above}")?;
        }
    }
    Ok(Outcome::Done)
}

fn on<T>(file: &CtlDbFile, work: impl AsyncFnOnce(CtlDb) -> Result<T, ctldb::Error>) -> Result<T> {
    let path = &file.ctldb_url_file;
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let url = CtlDbUrl::parse(&text).with_context(|| format!("read {}", path.display()))?;
    let ctldb = CtlDb::open(url)?;
    Ok(Runtime::new()?.block_on(work(ctldb))?)
}

/// Whoever sits at the command line.
fn author() -> Author {
    Author {
        writer: None,
        principal: "command line".to_owned(),
        source_address: "local".to_owned(),
        request_id: String::new(),
        reason: None,
    }
}
