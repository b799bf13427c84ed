//! The commands that speak to the executive over HTTP. They use the original's routes where those say it all, so that
//! they work on an executive of the original, too.

mod answer;
pub(crate) mod credentials;
mod error;
mod family;
mod heartbeat;
mod history;
mod http;
mod ledger;
mod limits;
mod mutate;
pub(crate) mod probe;
mod progress;
mod table;
mod tls;
mod writer;

use std::io::{self, Write};

use anyhow::Result;
use serde_json::Value;
use tokio::runtime::Builder;

use crate::args::{Admin, Output};
use crate::client::credentials::Credentials;
use crate::client::http::Http;

pub(crate) use crate::client::family::family;
pub(crate) use crate::client::heartbeat::heartbeat;
pub(crate) use crate::client::history::history;
pub(crate) use crate::client::ledger::{show, tail};
pub(crate) use crate::client::limits::limits;
pub(crate) use crate::client::mutate::mutate;
pub(crate) use crate::client::table::table;
pub(crate) use crate::client::writer::writer;

/// The executive, as the admin of these flags.
fn admin(admin: &Admin) -> Result<Http> {
    let token = admin.token_file.as_deref().map(Credentials::token).transpose()?;
    Ok(Http::new(&admin.executive, token.unwrap_or(Credentials::None))?)
}

/// Runs what a command does, to its end. One thread: a command waits for one answer at a time.
fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Says what was done: in words, or as JSON.
pub(crate) fn say(
    output: Output,
    (words, json): (impl AsRef<str>, &Value),
    out: &mut dyn Write,
) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{json}"),
        Output::Table => writeln!(out, "{}", words.as_ref()),
    }
}
