//! The one binary: each service, the commands that read a node's LDB, and embedded mode.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use daemon::log::{self, Chain};

use crate::args::{Cli, Command, Ledger, LogFormat};
use crate::outcome::Outcome;
use crate::terminal::Terminal;

mod args;
mod client;
mod demo;
mod dev;
mod doctor;
mod greeting;
mod ldb;
mod metrics_doc;
mod outcome;
mod print;
mod prune;
mod read;
mod rebuild;
mod repair;
mod service;
mod status;
mod terminal;
mod watch;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // To stdout what was asked for, to stderr what is wrong; there is nobody left to tell when that fails.
            drop(error.print());
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { &Outcome::Done } else { &Outcome::Usage });
        }
    };
    let mut out = Terminal::stdout();
    let outcome = run(cli, &mut out).and_then(|outcome| Ok(out.flush().map(|()| outcome)?));
    match outcome {
        Ok(outcome) => {
            if let Outcome::NotFound(what) = &outcome {
                complain(what);
            }
            ExitCode::from(&outcome)
        }
        Err(_) if out.reader_is_gone() => ExitCode::SUCCESS,
        Err(error) => {
            complain(&Chain(error.as_ref()).to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, out: &mut dyn Write) -> Result<Outcome> {
    // TLS to MySQL and to the API server takes its cryptography from here; an error says that it was set already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let format = match cli.log_format {
        LogFormat::Auto => log::Format::Auto,
        LogFormat::Json => log::Format::Json,
        LogFormat::Plain => log::Format::Plain,
    };
    let filter = cli.log.as_deref().unwrap_or_else(|| usual_filter(&cli.command));
    log::init(format, filter, cli.log_filter_file.as_deref())?;
    match cli.command {
        Command::Operator(args) => service::operator(*args),
        Command::Executive(args) => service::executive(*args),
        Command::Agent(args) => service::agent(*args, out),
        Command::Sidecar(args) => service::sidecar(*args),
        Command::Snapshotter(args) => service::snapshotter(*args),
        Command::Dev(args) => dev::dev(args, out),
        Command::Demo(args) => demo::demo(args, out),
        Command::Get(args) => read::get(&args, out),
        Command::Scan(args) => read::scan(&args, out),
        Command::Status(args) => status::status(&args, out),
        Command::Doctor(args) => doctor::doctor(&args, out),
        Command::Wait(args) => read::wait(&args, out),
        Command::Watch(args) => watch::watch(&args, out),
        Command::Ldb(args) => ldb::ldb(&args, out),
        Command::Family(args) => client::family(args, out),
        Command::Table(args) => client::table(args, out),
        Command::Writer(args) => client::writer(args, out),
        Command::Mutate(args) => client::mutate(&args, out),
        Command::Limits(args) => client::limits(args, out),
        Command::History(args) => client::history(args, out),
        Command::Ledger(args) => match args {
            Ledger::Tail { lines, follow, admin } => client::tail((lines, follow), &admin, out),
            Ledger::Show { seq, admin } => client::show(seq, &admin, out),
            Ledger::Skip { ctldb, skip } => repair::skip(&ctldb, skip, out),
            Ledger::Prune { ctldb, prune: args } => prune::prune(&ctldb, &args, out),
            Ledger::Verify { ctldb, output } => repair::verify(&ctldb, output, out),
        },
        Command::Heartbeat(args) => client::heartbeat(&args),
        Command::Ctldb(args) => repair::ctldb(args, out),
        Command::Completions { shell } => Ok(completions(shell, out)),
        Command::MetricsDoc => metrics_doc::print(out),
    }
}

fn completions(shell: clap_complete::Shell, mut out: &mut dyn Write) -> Outcome {
    clap_complete::generate(shell, &mut Cli::command(), "ctlstore", &mut out);
    Outcome::Done
}

/// Services tell what they do; a person who types a command wants its answer.
fn usual_filter(command: &Command) -> &'static str {
    match command {
        Command::Operator(_)
        | Command::Executive(_)
        | Command::Agent(_)
        | Command::Sidecar(_)
        | Command::Snapshotter(_)
        | Command::Heartbeat(_) => "info",
        // Its own words say that it is open to everyone.
        Command::Dev(_) | Command::Demo(_) => "warn,executive::run=error",
        Command::Get(_)
        | Command::Scan(_)
        | Command::Status(_)
        | Command::Doctor(_)
        | Command::Wait(_)
        | Command::Watch(_)
        | Command::Ldb(_)
        | Command::Family(_)
        | Command::Table(_)
        | Command::Writer(_)
        | Command::Mutate(_)
        | Command::Limits(_)
        | Command::History(_)
        | Command::Ledger(_)
        | Command::Ctldb(_)
        | Command::Completions { .. }
        | Command::MetricsDoc => "warn",
    }
}

fn complain(what: &str) {
    // Nothing is left to be done when not even this can be said.
    drop(writeln!(io::stderr(), "ctlstore: {what}"));
}
