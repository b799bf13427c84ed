//! The SQL that both kinds of ctldb understand, and how to read what it answers.

use ledger::{Chain, Digest, Entry, History, LeaderTs, Position, Seq};

use crate::source::{BatchEnd, Fetched, Parent, Skip, SourceError, Tip};

pub(crate) const META: &str = "SELECT history, last_seq, last_digest, chain, pruned_through, min_compatible, \
    parent_history, parent_seq, parent_chain FROM ctlstore_meta WHERE id = 1";
pub(crate) const BATCHES: &str =
    "SELECT last_seq, chain FROM ctlstore_batches WHERE last_seq >= ? AND last_seq <= ?";
pub(crate) const SKIPS: &str = "SELECT seq, reason FROM ctlstore_skips WHERE seq >= ? AND seq <= ?";
/// A ledger of the original says nothing of itself. Two subqueries, for SQLite reads the whole table for both in one.
pub(crate) const BOUNDS: &str =
    "SELECT (SELECT MIN(seq) FROM ctlstore_dml_ledger), (SELECT MAX(seq) FROM ctlstore_dml_ledger)";

/// The row of `ctlstore_meta`, as the database hands it out.
pub(crate) struct MetaRow {
    pub(crate) history: String,
    pub(crate) last_seq: i64,
    pub(crate) last_digest: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) pruned_through: i64,
    pub(crate) min_compatible: i64,
    pub(crate) parent_history: Option<String>,
    pub(crate) parent_seq: Option<i64>,
    pub(crate) parent_chain: Option<Vec<u8>>,
}

impl MetaRow {
    /// A look at the ledger, without entries so far.
    pub(crate) fn read(self) -> Result<Fetched, SourceError> {
        let chain = chain(&self.chain)?;
        let head = seq(self.last_seq)?;
        let tip = (chain != Chain::GENESIS).then(|| digest(&self.last_digest));
        let tip = tip.transpose()?.map(|digest| Tip { digest, chain });
        let parent = match (self.parent_history, self.parent_seq, self.parent_chain) {
            (Some(id), Some(at), Some(bytes)) => {
                let (history, seq) = (history(&id)?, seq(at)?);
                Some(Parent { history, seq, chain: self::chain(&bytes)? })
            }
            (None, None, None) => None,
            _ => return Err(SourceError::broken("half a parent")),
        };
        Ok(Fetched {
            history: history(&self.history)?,
            parent,
            head,
            tip,
            low_water: seq(self.pruned_through)?,
            min_compatible: u32::try_from(self.min_compatible)
                .map_err(|_| SourceError::broken("an impossible min_compatible"))?,
            entries: Vec::new(),
            batches: Vec::new(),
            skips: Vec::new(),
            hold: None,
        })
    }
}

/// A look at a ledger of the original, without entries so far.
pub(crate) fn legacy(min: Option<i64>, max: Option<i64>) -> Result<Fetched, SourceError> {
    let (first, head) = (seq(min.unwrap_or(1))?, seq(max.unwrap_or(0))?);
    Ok(Fetched {
        history: History::Legacy,
        parent: None,
        head,
        tip: None,
        low_water: first.before(),
        min_compatible: 0,
        entries: Vec::new(),
        batches: Vec::new(),
        skips: Vec::new(),
        hold: None,
    })
}

impl Fetched {
    /// Do the ledger's own books say that this position is the ledger's end? Then no entry needs to be looked at. The
    /// chain says so, whatever the history is called.
    pub(crate) fn ends_at(&self, from: Option<Position>) -> bool {
        match (from, self.tip) {
            (Some(own), Some(tip)) => {
                self.head >= own.seq && (own.digest, own.chain) == (tip.digest, tip.chain)
            }
            (None, None) => self.history != History::Legacy && self.head == Seq::ZERO,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

pub(crate) fn entry(
    number: i64,
    time: Option<String>,
    statement: String,
) -> Result<Entry, SourceError> {
    let seq = seq(number)?;
    let parse = |text: String| {
        let time: Result<LeaderTs, _> = text.parse();
        time.map_err(|_| SourceError::broken(format!("the time {text:?} at entry {seq}")))
    };
    let leader_ts = time.map(parse).transpose()?.unwrap_or(LeaderTs::UNKNOWN);
    Ok(Entry { seq, leader_ts, statement })
}

pub(crate) fn batch_end(last_seq: i64, bytes: &[u8]) -> Result<BatchEnd, SourceError> {
    Ok(BatchEnd { last_seq: seq(last_seq)?, chain: chain(bytes)? })
}

pub(crate) fn skip(number: i64, reason: String) -> Result<Skip, SourceError> {
    Ok(Skip { seq: seq(number)?, reason })
}

pub(crate) fn seq(number: i64) -> Result<Seq, SourceError> {
    Seq::try_from(number).map_err(|error| SourceError::broken(error.to_string()))
}

fn history(text: &str) -> Result<History, SourceError> {
    text.parse().map_err(|_| SourceError::broken(format!("the history {text:?}")))
}

fn chain(bytes: &[u8]) -> Result<Chain, SourceError> {
    Chain::from_slice(bytes).ok_or_else(|| SourceError::broken("a chain of the wrong size"))
}

fn digest(bytes: &[u8]) -> Result<Digest, SourceError> {
    Digest::from_slice(bytes).ok_or_else(|| SourceError::broken("a digest of the wrong size"))
}
