//! `ctlstore heartbeat`: the original's heartbeat, over HTTP: a row of the ledger at regular times, by which the lag of
//! nodes can be told from silence.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use daemon::log::Chain;
use hyper::{Method, StatusCode};
use serde_json::json;
use tracing::{info, warn};

use crate::args::Heartbeat;
use crate::client::credentials::{self, Credentials};
use crate::client::error::Error;
use crate::client::http::{Ask, Http};
use crate::client::run;
use crate::outcome::Outcome;

/// Whoever beats seldom still wants a beat that failed to be made up for.
const AGAIN: Duration = Duration::from_secs(5);

/// `ctlstore heartbeat`
pub(crate) fn heartbeat(args: &Heartbeat) -> Result<Outcome> {
    let token = args.token_file.as_deref().map(Credentials::token).transpose()?;
    let admin = Http::new(&args.executive, token.unwrap_or(Credentials::None))?;
    let secret = credentials::secret(&args.secret_file)?;
    let writer = admin.with(Credentials::writer(&args.writer, &args.secret_file)?);
    run(async {
        let stop = daemon::signal::stop_on_signal()?;
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            failed = beats(args, (&admin, &writer), secret) => failed,
        }
    })?;
    Ok(Outcome::Done)
}

/// Beats until it meets what no waiting cures.
async fn beats(args: &Heartbeat, (admin, writer): (&Http, &Http), secret: String) -> Result<()> {
    while let Err(error) = register(args, admin, secret.clone()).await {
        wait(error, args.interval).await.context("prepare the heartbeat")?;
    }
    info!(family = %args.family, table = %args.table, interval = ?args.interval, "beating");
    loop {
        match beat(args, writer).await {
            Ok(()) => tokio::time::sleep(args.interval).await,
            Err(error) => wait(error, args.interval).await.context("beat")?,
        }
    }
}

/// A failure that may pass is waited for, and one that will not is the end.
async fn wait(error: Error, interval: Duration) -> Result<()> {
    let Some(after) = error.passes_after() else { return Err(error.into()) };
    let pause = after.max(interval.min(AGAIN));
    warn!(error = %Chain(&error), ?pause, "no heartbeat, trying again");
    tokio::time::sleep(pause).await;
    Ok(())
}

async fn register(args: &Heartbeat, admin: &Http, secret: String) -> Result<(), Error> {
    let Heartbeat { family, table, writer, .. } = args;
    admin.send(Ask::new(Method::POST, &["writers", writer]).raw(secret)).await?;
    there(admin.send(Ask::new(Method::POST, &["families", family])).await)?;
    let schema =
        json!({ "fields": [["name", "string"], ["value", "integer"]], "keyFields": ["name"] });
    let ask = Ask::new(Method::POST, &["families", family, "tables", table]).json(&schema);
    there(admin.send(ask).await)
}

/// What is there already is as good as made.
fn there<T>(made: Result<T, Error>) -> Result<(), Error> {
    match made {
        Err(error) if !error.is(StatusCode::CONFLICT) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn beat(args: &Heartbeat, writer: &Http) -> Result<(), Error> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // As nanoseconds, they last until the year 2262.
    let value = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    let values = json!({ "name": "heartbeat", "value": value });
    let mutation = json!({ "table": args.table, "delete": false, "values": values });
    let ask = Ask::new(Method::POST, &["families", &args.family, "mutations"]);
    writer.send(ask.json(&json!({ "cookie": null, "mutations": [mutation] }))).await.map(drop)
}
