//! The commands that read a node's LDB: `get`, `scan`, `wait`.

mod key;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use ledger::{Seq, TableSchema};
use reader::{Family, Ldb};

use crate::args::{Get, Output, Scan, Source, Wait};
use crate::outcome::Outcome;
use crate::print;

/// How often `wait` looks.
const LOOK: Duration = Duration::from_millis(5);

/// `ctlstore get FAMILY TABLE KEY…`
pub(crate) fn get(args: &Get, out: &mut dyn Write) -> Result<Outcome> {
    let (family, schema) = open(&args.source, &args.family, &args.table)?;
    let key = key::parse(&schema, &args.key)?;
    let Some(row) = family.row(&args.table, &key::borrowed(&key))? else {
        let key = args.key.join(" ").escape_debug().to_string();
        return Ok(Outcome::NotFound(format!("no row {key} in {}", schema.table())));
    };
    print::rows(&schema, &[row], args.source.output, out)?;
    Ok(Outcome::Done)
}

/// `ctlstore scan FAMILY TABLE [KEY…]`
pub(crate) fn scan(args: &Scan, out: &mut dyn Write) -> Result<Outcome> {
    let (family, schema) = open(&args.source, &args.family, &args.table)?;
    let key = key::parse(&schema, &args.key)?;
    let rows = match key::borrowed(&key).as_slice() {
        [] => family.all(&args.table)?,
        prefix => family.rows(&args.table, prefix)?,
    };
    print::rows(&schema, &rows, args.source.output, out)?;
    Ok(Outcome::Done)
}

/// `ctlstore wait --seq N`. The LDB need not exist yet: an init container may come before the agent.
pub(crate) fn wait(args: &Wait, out: &mut dyn Write) -> Result<Outcome> {
    let wanted = Seq::try_from(args.seq)?;
    let deadline = Instant::now() + args.timeout;
    let mut ldb = None;
    loop {
        let seen = match look(&mut ldb, &args.source) {
            Ok(seq) if seq >= wanted => {
                match args.source.output {
                    Output::Json => writeln!(out, "{}", serde_json::json!({ "seq": seq }))?,
                    Output::Table => writeln!(out, "{seq}")?,
                }
                return Ok(Outcome::Done);
            }
            Ok(seq) => format!("the LDB is at {seq}"),
            Err(error) if error.is_not_found() || error.is_unavailable() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let what = format!("{wanted} was not reached within {:?}: {seen}", args.timeout);
            return Ok(Outcome::NotFound(what));
        }
        thread::sleep(LOOK.min(left));
    }
}

/// Where the LDB stands; it is opened once.
fn look(ldb: &mut Option<Ldb>, source: &Source) -> Result<Seq, reader::Error> {
    let open = match ldb.take() {
        Some(open) => open,
        None => Ldb::open(&source.ldb)?,
    };
    ldb.insert(open).seq()
}

fn open(source: &Source, family: &str, table: &str) -> Result<(Family, TableSchema)> {
    let family = Ldb::open(&source.ldb)?.family(family)?;
    let schema = family.schema(table)?;
    Ok((family, schema))
}
