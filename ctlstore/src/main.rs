//! The one binary: each service, the commands that read a node's LDB, and embedded mode.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use clap::error::ErrorKind;
use daemon::log;

use crate::args::{Cli, Command, LogFormat};
use crate::outcome::Outcome;

mod args;
mod demo;
mod dev;
mod outcome;
mod print;
mod read;
mod repair;
mod service;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { Outcome::Usage.into() };
        }
    };
    match run(cli) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "ctlstore: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<Outcome> {
    // TLS to MySQL and to the API server takes its cryptography from here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let format = match cli.log_format {
        LogFormat::Auto => log::Format::Auto,
        LogFormat::Json => log::Format::Json,
        LogFormat::Plain => log::Format::Plain,
    };
    // Services tell what they do; a person who types a command wants its answer.
    let quiet =
        !matches!(cli.command, Command::Operator(_) | Command::Executive(_) | Command::Agent(_));
    let filter = cli.log.as_deref().unwrap_or(if quiet { "warn" } else { "info" });
    log::init(format, filter)?;
    let out = &mut io::stdout().lock();
    match cli.command {
        Command::Operator(args) => service::operator(*args),
        Command::Executive(args) => service::executive(*args),
        Command::Agent(args) => service::agent(*args),
        Command::Dev(args) => dev::dev(&args, out),
        Command::Demo(args) => demo::demo(&args, out),
        Command::Get(args) => read::get(&args, out),
        Command::Scan(args) => read::scan(&args, out),
        Command::Status(args) => read::status(&args, out),
        Command::Wait(args) => read::wait(&args, out),
        Command::Ledger(args) => repair::ledger(args, out),
        Command::Ctldb(args) => repair::ctldb(args, out),
    }
}
