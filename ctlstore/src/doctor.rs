//! `ctlstore doctor`: what is wrong with a node's LDB, and the cure. Facts are gathered first, by calls that disturb nobody;
//! the judgement is pure.

mod checks;
mod facts;
mod finding;
mod locks;
mod reach;

use std::io::{self, Write};

use anyhow::{Result, bail};
use tokio::runtime::Builder;

use crate::args::{Doctor, Output};
use crate::doctor::finding::{Finding, Verdict};
use crate::outcome::Outcome;

/// `ctlstore doctor`
pub(crate) fn doctor(args: &Doctor, out: &mut dyn Write) -> Result<Outcome> {
    if facts::hidden(&args.ldb) {
        bail!("not allowed to look at {}, run as its owner or as root", args.ldb.display());
    }
    let mut facts = facts::gather(&args.ldb);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    facts.reached = runtime.block_on(reach::ask(args, &facts));
    // Whoever was too slow for us may hold a thread.
    runtime.shutdown_background();
    let mut findings = checks::directory(&facts);
    if facts.folder.is_some() {
        findings.extend(reach::findings(&facts));
    }
    print(&findings, args.output, out)?;
    let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
    Ok(match failed {
        0 => Outcome::Done,
        failed => Outcome::NotFound(format!("{failed} of {} checks fail", findings.len())),
    })
}

fn print(findings: &[Finding], output: Output, out: &mut dyn Write) -> io::Result<()> {
    if output == Output::Json {
        let verdict = findings.iter().map(|finding| finding.verdict).max();
        let verdict = verdict.map_or(Verdict::Ok.as_str(), Verdict::as_str);
        return writeln!(out, "{}", serde_json::json!({ "verdict": verdict, "checks": findings }));
    }
    for Finding { check, verdict, found, cure } in findings {
        writeln!(out, "{:4}  {check:12}  {found}", verdict.as_str())?;
        if let Some(cure) = cure {
            writeln!(out, "{:18}  cure: {cure}", "")?;
        }
    }
    Ok(())
}
