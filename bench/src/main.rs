//! Side-by-side measurements: `just bench`, `just bench replay`. Exits with 1 when a budget is not kept.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser as _;

use crate::args::Args;

mod args;
mod executive;
mod fixture;
mod idle;
mod ldb;
mod replay;
mod runner;
mod visible;

const SCENARIOS: [&str; 5] = ["replay", "visible", "idle", "executive", "ldb"];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    if !args.child.is_empty() {
        return ldb::child(&args.child);
    }
    if let Some(name) = args.name.as_deref().filter(|name| !SCENARIOS.contains(name)) {
        bail!("no scenario is called {name:?}, there are {}", SCENARIOS.join(", "));
    }
    let mut json: Box<dyn Write> = match &args.json {
        Some(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        None => Box::new(io::sink()),
    };
    let mut out = io::stdout().lock();
    let mut kept = true;
    for name in SCENARIOS {
        if args.name.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        kept &= match name {
            "replay" => replay::run(args, &mut out, &mut json)?,
            "visible" => visible::run(args, &mut out, &mut json)?,
            "executive" => executive::run(args, &mut out, &mut json)?,
            "ldb" => ldb::run(args, &mut out, &mut json)?,
            _ => idle::run(args, &mut out, &mut json)?,
        };
    }
    Ok(kept)
}
