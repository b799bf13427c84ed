//! The JSON of `/v1/status`, and of the original's latency.

use std::time::{Duration, SystemTime};

use ledger::Position;
use serde::Serialize;

use crate::bootstrap;
use crate::changes::LogReport;
use crate::status::Report;
use crate::supervisor::Uploaded;

#[derive(Debug, Serialize)]
pub(super) struct Latency {
    unit: &'static str,
    value: f64,
}

pub(super) fn latency(latency: Duration) -> Latency {
    Latency { unit: "seconds", value: latency.as_secs_f64() }
}

/// The answer of `GET /v1/status`.
#[derive(Debug, Serialize)]
pub(super) struct StatusShape {
    /// A word for what replay is doing.
    state: &'static str,
    /// Why it stands still, and the cure.
    message: Option<String>,
    /// Milliseconds since 1970.
    since_ms: u64,
    position: Option<Position>,
    /// Age of the newest entry applied.
    lag_seconds: Option<f64>,
    /// Time since the ledger was last asked and had nothing that the LDB has not.
    nothing_new_seconds: Option<f64>,
    /// How far this node's clock is behind at least, by the time of the newest entry.
    clock_behind_seconds: Option<f64>,
    /// Entries that the ledger had and the LDB had not, when the ledger was last seen.
    missing_entries: Option<u64>,
    ledger: Option<Ledger>,
    generation: u64,
    wal_bytes: u64,
    ldb: LdbShape,
    /// How uploading snapshots goes, where it is asked for.
    snapshot: Option<SnapshotShape>,
    /// How the node began, or begins anew.
    bootstrap: Option<bootstrap::told::Told>,
    /// How the change log's file is, where one is asked for.
    changelog: Option<LogReport>,
}

/// How uploading snapshots goes.
#[derive(Debug, Serialize)]
struct SnapshotShape {
    /// A word for what became of the last attempt.
    outcome: &'static str,
    /// Why, and the cure.
    message: Option<String>,
    /// Of the newest snapshot in the store.
    position: Option<Position>,
    age_seconds: Option<f64>,
    /// What the last upload of this process sent.
    uploaded_bytes: u64,
}

fn snapshot(uploaded: &Uploaded) -> SnapshotShape {
    let age = |at| SystemTime::now().duration_since(at).unwrap_or_default().as_secs_f64();
    SnapshotShape {
        outcome: uploaded.outcome.as_str(),
        message: uploaded.message.clone(),
        position: uploaded.position,
        age_seconds: uploaded.at.map(age),
        uploaded_bytes: uploaded.bytes,
    }
}

/// How the file is.
#[derive(Debug, Serialize)]
struct LdbShape {
    /// A word for what the writer can do.
    condition: &'static str,
    /// Other processes that have the served file open.
    attached: u64,
    /// Files that were served before and are still there.
    retired: u64,
    retired_attached: u64,
    /// How often a file was replaced since the start.
    switches: u64,
}

#[derive(Debug, Serialize)]
struct Ledger {
    history: ledger::History,
    head: ledger::Seq,
    low_water: ledger::Seq,
    /// How long ago it was seen.
    seen_seconds: f64,
}

pub(super) fn status(report: &Report, generation: u64) -> StatusShape {
    let ledger = report.ledger.map(|seen| Ledger {
        history: seen.history,
        head: seen.head,
        low_water: seen.low_water,
        seen_seconds: SystemTime::now().duration_since(seen.at).unwrap_or_default().as_secs_f64(),
    });
    let since = report.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    StatusShape {
        state: report.state.as_str(),
        message: report.message.clone(),
        since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        position: report.position,
        lag_seconds: report.lag().map(|lag| lag.as_secs_f64()),
        nothing_new_seconds: report.since_nothing_new().map(|since| since.as_secs_f64()),
        clock_behind_seconds: report.clock_behind().map(|behind| behind.as_secs_f64()),
        missing_entries: report.missing(),
        ledger,
        generation,
        wal_bytes: report.ldb.wal_bytes,
        ldb: LdbShape {
            condition: report.ldb.condition.as_str(),
            attached: report.ldb.attached,
            retired: report.ldb.retired,
            retired_attached: report.ldb.retired_attached,
            switches: report.ldb.switches,
        },
        snapshot: report.snapshot.as_ref().map(snapshot),
        bootstrap: report.bootstrap.clone(),
        changelog: report.changelog.clone(),
    }
}
