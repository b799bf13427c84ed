//! `ctlstore ledger prune`: what the operator's leader does daily, once, by hand.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ctldb::{Fence, Pruned};
use ledger::Mark;
use operator::{Plan, Pruning};
use serde_json::json;
use store::Location;

use crate::args::{CtlDbFile, Output, Prune};
use crate::outcome::Outcome;
use crate::print;
use crate::repair::on;

/// `ctlstore ledger prune`
pub(crate) fn prune(file: &CtlDbFile, args: &Prune, out: &mut dyn Write) -> Result<Outcome> {
    let pruning = pruning(args)?;
    let (plan, done) = on(file, async |ctldb| {
        let plan = pruning.plan(&ctldb).await?;
        let done = match args.dry_run {
            true => None,
            false => Some(ctldb.prune(plan.verdict.through, &plan.meta, Fence::Open).await?),
        };
        anyhow::Ok((plan, done))
    })?;
    match args.output {
        Output::Json => writeln!(out, "{}", document(&plan, done))?,
        Output::Table => tell(&plan, done, out)?,
    }
    Ok(Outcome::Done)
}

/// Who may still need the ledger. Nothing is taken for granted: what is removed does not come back.
fn pruning(args: &Prune) -> Result<Pruning> {
    let snapshots = match (&args.snapshot_url, args.without_snapshots) {
        (Some(url), _) => {
            let location = Location::parse(url).context("--snapshot-url")?;
            Some(store::open(&location))
        }
        (None, true) => None,
        (None, false) => bail!(
            "it is not known what nodes need that begin anew: say where snapshots are with --snapshot-url, or, where there are none, with --without-snapshots that new nodes need none of what goes"
        ),
    };
    let nodes = match (&args.node_positions_file, args.without_nodes) {
        (Some(file), _) => Some(positions(file)?),
        (None, true) => None,
        (None, false) => bail!(
            "it is not known where nodes are: name them with --node-positions-file, or say with --without-nodes that those that are behind may begin anew from a snapshot"
        ),
    };
    Ok(Pruning { keep: args.keep, snapshots, nodes })
}

/// A position a line, the last word of it.
fn positions(file: &Path) -> Result<Vec<Mark>> {
    let name = file.display();
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read {name}, the file of --node-positions-file"))?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let position = |(number, line): (usize, &str)| {
        let word = line.split_whitespace().next_back().unwrap_or_default();
        word.parse::<Mark>().with_context(|| format!("line {number} of {name}"))
    };
    lines.map(position).collect()
}

fn tell(plan: &Plan, done: Option<Pruned>, out: &mut dyn Write) -> Result<()> {
    let Plan { meta, verdict, prunable } = plan;
    let would = prunable.entries;
    match done {
        None if would == 0 => writeln!(out, "nothing would be removed")?,
        None => writeln!(out, "{would} entries would be removed, up to {}", prunable.through)?,
        Some(Pruned { entries: 0, .. }) => writeln!(out, "nothing was removed")?,
        Some(Pruned { through, entries, longest, .. }) => writeln!(
            out,
            "{entries} entries were removed, up to {through}; writers waited for {} ms at most",
            longest.as_millis()
        )?,
    }
    let through = done.map_or(prunable.through, |done| done.through);
    let last = meta.last_seq();
    if through < last {
        let because = verdict.bounds.first().map_or("", |bound| bound.because.as_str());
        writeln!(out, "kept from {} to {last}, because {because}", through.get() + 1)?;
    }
    writeln!(out)?;
    let head = ["limit", "lets go up to", "because"].map(str::to_owned).to_vec();
    let lines = verdict.bounds.iter().map(|bound| {
        vec![bound.limit.as_str().to_owned(), bound.through.to_string(), bound.because.clone()]
    });
    print::table(&std::iter::once(head).chain(lines).collect::<Vec<_>>(), out)?;
    Ok(())
}

fn document(plan: &Plan, done: Option<Pruned>) -> serde_json::Value {
    let Plan { meta, verdict, prunable } = plan;
    let bounds = verdict.bounds.iter().map(|bound| {
        json!({"limit": bound.limit.as_str(), "through": bound.through, "because": bound.because})
    });
    json!({
        "dry_run": done.is_none(),
        "history": meta.history.to_string(),
        "head": meta.last_seq(),
        "pruned_before": meta.pruned_through,
        "pruned_through": done.map_or(prunable.through, |done| done.through),
        "entries": done.map_or(prunable.entries, |done| done.entries),
        "longest_lock_ms": done.map(|done| u64::try_from(done.longest.as_millis()).unwrap_or(u64::MAX)),
        "limits": bounds.collect::<Vec<_>>(),
    })
}
