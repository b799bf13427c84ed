//! Where ledger entries come from. What is above this trait knows nothing of polling, MySQL or files.
//!
//! A fetch is one consistent look: entries, where the ledger ends and begins, which ledger it is, what to skip.

mod books;
mod error;
mod mysql;
mod sqlite;
mod upstream;

use std::collections::BTreeMap;

use async_trait::async_trait;
use ledger::{Chain, Digest, Entry, History, Position, Seq};

pub(crate) use error::{Kind, SourceError};
pub(crate) use upstream::Upstream;

/// The newest ledger version that this agent knows.
pub(crate) const KNOWN_VERSION: u32 = 1;

/// A ledger.
#[async_trait]
pub(crate) trait Source: Send {
    /// Looks at the ledger from this position on. The entry at the position itself comes first, if it is there, so that
    /// the caller can see whether it is the one that it applied; no entries come when the ledger's own books say that
    /// the position is its end.
    async fn fetch(&mut self, from: Option<Position>, limit: Limit)
    -> Result<Fetched, SourceError>;

    /// Looks at single entries: a look without entries, and the digests of those of them that are there.
    async fn survey(&mut self, seqs: &[Seq]) -> Result<Survey, SourceError>;
}

/// One consistent look at single entries of a ledger.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Survey {
    /// Without entries.
    pub(crate) ledger: Fetched,
    pub(crate) digests: BTreeMap<Seq, Digest>,
    /// The chain at those of them with which a batch ends.
    pub(crate) chains: BTreeMap<Seq, Chain>,
}

/// How much to fetch at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) entries: u32,
    /// The last entry may pass it.
    pub(crate) bytes: usize,
}

/// One consistent look at a ledger.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fetched {
    pub(crate) history: History,
    pub(crate) parent: Option<Parent>,
    /// The last sequence given out.
    pub(crate) head: Seq,
    /// The last entry, as the ledger's own books have it. None in an empty ledger and in one of the original.
    pub(crate) tip: Option<Tip>,
    /// Entries up to here may be gone.
    pub(crate) low_water: Seq,
    /// The least version of the ledger that an agent must know to understand all of it.
    pub(crate) min_compatible: u32,
    pub(crate) entries: Vec<Entry>,
    /// Where batches end, within the range of `entries`.
    pub(crate) batches: Vec<BatchEnd>,
    pub(crate) skips: Vec<Skip>,
    /// Do not apply what lies above.
    pub(crate) hold: Option<Seq>,
}

/// Where a history branched off another: a copy of that one may follow if it stands at or below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) history: History,
    pub(crate) seq: Seq,
    pub(crate) chain: Chain,
}

/// Digest and chain of the last entry. After a new history was begun and before its first entry, that is the last of
/// the parent, below the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) digest: Digest,
    pub(crate) chain: Chain,
}

/// What the ledger says the chain is at the end of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchEnd {
    pub(crate) last_seq: Seq,
    pub(crate) chain: Chain,
}

/// An entry that an administrator declared empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) seq: Seq,
    pub(crate) reason: String,
}
