//! `GET /v1/ledger`: entries in order, each with who wrote it.

use axum::Json;
use axum::extract::State;
use ctldb::{BatchRecord, LedgerRecord};
use ledger::Seq;
use schemars::JsonSchema;
use serde::Serialize;

use super::query::Numbers;
use super::{Who, rfc3339};
use crate::app::App;
use crate::error::Error;
use crate::ticket::Ticket;

const DEFAULT_ENTRIES: u64 = 100;
const MAX_ENTRIES: u64 = 1000;
/// So many entries are read at once: statements have up to 768 KiB.
const PIECE: u32 = 50;
/// No more are read when there are so many bytes of them: an answer is held in memory.
const MAX_BYTES: usize = 16 << 20;

/// A piece of the ledger.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Ledger")]
pub(crate) struct Page {
    /// The last sequence of the ledger.
    head: u64,
    /// Entries up to here were pruned.
    low_water: u64,
    /// In words, when some of the entries that were asked for were pruned.
    gone: Option<String>,
    /// In order; fewer than asked for when there are no more, or when they are large.
    entries: Vec<Line>,
}

/// An entry.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LedgerEntry")]
struct Line {
    seq: u64,
    at: String,
    statement: String,
    digest: String,
    /// What was committed together; `null` for what the original wrote.
    batch: Option<Batch>,
}

/// What was committed together.
#[derive(Debug, Serialize, JsonSchema)]
struct Batch {
    first_seq: u64,
    last_seq: u64,
    upserts: u64,
    deletes: u64,
    #[serde(flatten)]
    who: Who,
}

/// Entries after a sequence.
pub(crate) async fn entries(
    State(app): State<App>,
    ticket: Ticket,
    mut query: Numbers,
) -> Result<Json<Page>, Error> {
    let after = query.take("after", 0, 0..=Seq::MAX.get())?;
    let limit = query.take("limit", DEFAULT_ENTRIES, 1..=MAX_ENTRIES)?;
    query.end()?;
    let after = Seq::new(after).expect("BUG: the bounds are a sequence's");
    let limit = u32::try_from(limit).expect("BUG: the bounds are below 2^32");
    let records = bounded(&app, &ticket, after, limit).await?;
    // After the entries: the head is never below one of them.
    let meta = app.ask(&ticket, app.db.meta()).await?;
    let low_water = meta.pruned_through;
    let gone = (after < low_water)
        .then(|| format!("entries up to {low_water} were pruned, the ledger begins after them"));
    Ok(Json(Page {
        head: meta.last_seq().get(),
        low_water: low_water.get(),
        gone,
        entries: records.into_iter().map(Line::from).collect(),
    }))
}

/// As many as were asked for, or as fit.
async fn bounded(
    app: &App,
    ticket: &Ticket,
    mut after: Seq,
    limit: u32,
) -> Result<Vec<LedgerRecord>, Error> {
    let (mut records, mut left, mut bytes) = (Vec::new(), limit, 0);
    while left > 0 && bytes < MAX_BYTES {
        let piece = app.ask(ticket, app.db.ledger(after, left.min(PIECE))).await?;
        let Some(last) = piece.last() else { break };
        after = last.entry.seq;
        left -= left.min(PIECE);
        bytes += piece.iter().map(|record| record.entry.statement.len()).sum::<usize>();
        records.extend(piece);
    }
    Ok(records)
}

impl From<LedgerRecord> for Line {
    fn from(LedgerRecord { entry, batch }: LedgerRecord) -> Self {
        Self {
            seq: entry.seq.get(),
            at: rfc3339(entry.leader_ts),
            digest: entry.digest().to_string(),
            statement: entry.statement,
            batch: batch.map(Batch::from),
        }
    }
}

impl From<BatchRecord> for Batch {
    fn from(batch: BatchRecord) -> Self {
        let BatchRecord { first_seq, last_seq, upserts, deletes, .. } = batch;
        let (first_seq, last_seq) = (first_seq.get(), last_seq.get());
        Self { first_seq, last_seq, upserts, deletes, who: batch.into() }
    }
}
