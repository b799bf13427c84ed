//! `GET /v1/status`: where the ledger stands, how old its last entry is, how large it is, and which versions meet here.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use ledger::LeaderTs;
use schemars::JsonSchema;
use serde::Serialize;

use super::rfc3339;
use crate::app::App;
use crate::error::Error;
use crate::ticket::Ticket;

/// Where the ledger stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Status {
    /// The identity of the ledger.
    history: String,
    /// Its last sequence.
    seq: u64,
    /// That entry, as the header `ctlstore-position` has it; `null` while the ledger is empty.
    position: Option<String>,
    /// Entries up to here were pruned.
    pruned_through: u64,
    last_entry_at: Option<String>,
    last_entry_age_seconds: Option<f64>,
    /// Tables of the registry.
    tables: u64,
    ledger: Size,
    versions: Versions,
    /// Why nothing is written for now, if so.
    hold: Option<String>,
}

/// How large the ledger is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LedgerSize")]
struct Size {
    entries: u64,
    /// On disk, as far as the database tells.
    bytes: u64,
}

/// Which versions meet here.
#[derive(Debug, Serialize, JsonSchema)]
struct Versions {
    /// Of this program.
    ctlstore: &'static str,
    /// Of ctldb's tables.
    schema: u32,
    /// The least version of ours that can work with them.
    min_compatible: u32,
}

/// Where the ledger stands.
pub(crate) async fn status(State(app): State<App>, ticket: Ticket) -> Result<Json<Status>, Error> {
    let meta = app.ask(&ticket, app.db.meta()).await?;
    let stats = app.ask(&ticket, app.db.ledger_stats()).await?;
    let head = stats.head;
    Ok(Json(Status {
        history: meta.history.to_string(),
        seq: head.map_or(0, |head| head.seq.get()),
        position: head.map(|head| head.mark().to_string()),
        pruned_through: meta.pruned_through.get(),
        last_entry_at: stats.last_at.map(rfc3339),
        last_entry_age_seconds: stats.last_at.map(|at| age(at, SystemTime::now())),
        tables: stats.tables,
        ledger: Size { entries: stats.entries, bytes: stats.bytes },
        versions: Versions {
            ctlstore: env!("CARGO_PKG_VERSION"),
            schema: meta.version,
            min_compatible: meta.min_compatible,
        },
        hold: app.hold.reason(),
    }))
}

/// Never negative, whatever the clocks say.
fn age(at: LeaderTs, now: SystemTime) -> f64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let micros = i64::try_from(since).unwrap_or(i64::MAX).saturating_sub(at.as_micros());
    std::time::Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_age_is_in_seconds_and_never_negative() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        for (micros, want) in [(98_500_000, 1.5), (100_000_000, 0.0), (101_000_000, 0.0)] {
            let seconds = age(LeaderTs::from_micros(micros), now);
            assert!((seconds - want).abs() < 1e-9, "{micros}: {seconds}");
        }
    }
}
