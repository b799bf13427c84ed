//! Side-by-side measurements: `just bench` lists them, `just bench replay` runs one. Exits with 1 when a budget is missed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser as _, ValueEnum as _};

use crate::args::{Args, Scenario};

mod args;
mod bootstrap;
mod executive;
mod fixture;
mod http;
mod idle;
mod ldb;
mod presence;
mod process;
mod replay;
mod runner;
mod visible;

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
    if let [what, socket] = args.child.as_slice()
        && what == "hello"
    {
        return http::hello_child(socket).map(|()| true);
    }
    if !args.child.is_empty() {
        return ldb::child(&args.child);
    }
    let mut out = io::stdout().lock();
    if args.scenarios.is_empty() {
        list(&mut out)?;
        return Ok(true);
    }
    let mut json: Box<dyn Write> = match &args.json {
        Some(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        None => Box::new(io::sink()),
    };
    let mut kept = true;
    for scenario in &args.scenarios {
        kept &= match scenario {
            Scenario::Replay => replay::run(args, &mut out, &mut json)?,
            Scenario::Visible => visible::run(args, &mut out, &mut json)?,
            Scenario::Bootstrap => bootstrap::run(args, &mut out, &mut json)?,
            Scenario::Idle => idle::run(args, &mut out, &mut json)?,
            Scenario::Executive => executive::run(args, &mut out, &mut json)?,
            Scenario::Ldb => ldb::run(args, &mut out, &mut json)?,
            Scenario::Presence => presence::run(&mut out, &mut json)?,
            Scenario::Http => http::run(args, &mut out, &mut json)?,
        };
    }
    let verdict = if kept { "every budget was kept" } else { "a budget was missed: NOT KEPT" };
    writeln!(out, "bench: {verdict}")?;
    Ok(kept)
}

fn list(out: &mut dyn Write) -> Result<()> {
    for scenario in Scenario::value_variants() {
        let value = scenario.to_possible_value().context("BUG: a scenario is hidden")?;
        let help = value.get_help().context("BUG: a scenario says nothing")?;
        writeln!(out, "{:<10} {help}", value.get_name())?;
    }
    Ok(())
}
