//! `ctlstore mutate`: writes rows from lines of JSON, each line once.
//!
//! The writer's cookie says how many lines of which input are written, and changes in the transaction that writes them.
//! A batch goes through only while the cookie is the one it was built on. So neither an answer that was lost nor a run that
//! was killed, and not even its last request that arrives late, can make a line be written twice or not at all.

mod cookie;
mod lines;
mod waiting;
mod work;

use std::io::{self, IsTerminal as _, Write};

use anyhow::{Result, bail};
use serde_json::json;

use crate::args::{Mutate, Output};
use crate::client::credentials::Credentials;
use crate::client::http::Http;
use crate::client::mutate::cookie::{Place, Stored};
use crate::client::mutate::lines::Lines;
use crate::client::mutate::work::{Done, Work};
use crate::client::progress::Progress;
use crate::client::{answer, run};
use crate::outcome::Outcome;
use crate::print;

/// `ctlstore mutate FAMILY [FILE]`
pub(crate) fn mutate(args: &Mutate, out: &mut dyn Write) -> Result<Outcome> {
    let credentials = &args.credentials;
    let shown = Credentials::writer(&credentials.writer, &credentials.secret_file)?;
    let http = Http::new(&args.executive, shown)?;
    let mut lines = Lines::open(&args.family, &args.file)?;
    let progress = Progress::new(io::stderr().is_terminal(), lines.bytes_total());
    let (before, done) = run(async {
        let mut work = Work::new(args, http, progress)?;
        let stored = work.cookie().await?;
        let begin = resume(args, &stored, &mut lines)?;
        work.pass(lines.bytes());
        let done = work.run((stored, begin.clone()), &mut lines).await?;
        Ok((begin.map_or(0, |place| place.lines), done))
    })?;
    let Done { rows, batches, seq, ignored } = done;
    if args.output == Output::Json {
        let ignored: Vec<_> = ignored.iter().collect();
        let json = json!({ "rows": rows, "batches": batches, "lines_before": before, "seq": seq, "ignored": ignored });
        writeln!(out, "{json}")?;
        return Ok(Outcome::Done);
    }
    let rows = if rows == 1 { "1 row is".to_owned() } else { format!("{rows} rows are") };
    let batches = if batches == 1 { "1 batch".to_owned() } else { format!("{batches} batches") };
    writeln!(out, "{rows} written in {batches}{}", answer::entry(seq))?;
    if before > 0 {
        writeln!(out, "{before} lines were written before")?;
    }
    if !ignored.is_empty() {
        let ignored = print::line(&ignored.into_iter().collect::<Vec<_>>().join(", "));
        writeln!(out, "passed over, because the tables have no such columns: {ignored}")?;
    }
    Ok(Outcome::Done)
}

/// Goes to the first line that is not written; says how far it had come, if it had begun.
fn resume(args: &Mutate, stored: &[u8], lines: &mut Lines) -> Result<Option<Place>> {
    let writer = &args.credentials.writer;
    if args.from_start {
        return Ok(None);
    }
    let (place, done) = match Stored::read(writer, stored) {
        Stored::Fresh => return Ok(None),
        Stored::Place { place, done } => (place, done),
        Stored::Foreign => bail!(
            "the cookie of writer {writer:?} was set by another program: give each its own writer, or forget that cookie with --from-start"
        ),
    };
    if lines.skip_to(&place)? {
        return Ok(Some(place));
    }
    if done {
        lines.rewind()?;
        return Ok(None);
    }
    bail!(
        "writer {writer:?} stopped behind line {} of another input: finish that one first, or leave it with --from-start",
        place.lines
    )
}
