//! Replay on ledgers in memory: looks that run ahead of what is applied, and random work against a model.

mod ahead;
mod model;

use ledger::{Chain, Entry, History, LeaderTs, Position, Seq};

use crate::source::{BatchEnd, Fetched, Limit, Tip};

const TABLE: &str =
    "CREATE TABLE fam___tbl (\"id\" VARCHAR(191), \"n\" TEXT, PRIMARY KEY(\"id\"));";

fn upsert(id: &str, n: &str) -> String {
    format!("REPLACE INTO fam___tbl (\"id\",\"n\") VALUES('{id}','{n}')")
}

/// A transaction of the ledger.
fn frame(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let begin = std::iter::once("--- BEGIN".to_owned());
    begin.chain(texts).chain(std::iter::once("--- COMMIT".to_owned())).collect()
}

/// A ledger of ours.
#[derive(Debug, Clone)]
struct Ledger {
    history: History,
    entries: Vec<Entry>,
    batches: Vec<BatchEnd>,
    chain: Chain,
    hold: Option<Seq>,
}

impl Ledger {
    fn new() -> Self {
        let history = "0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11".parse().unwrap();
        let (entries, batches, chain) = (Vec::new(), Vec::new(), Chain::GENESIS);
        Self { history, entries, batches, chain, hold: None }
    }

    fn append(&mut self, texts: &[String]) {
        for text in texts {
            let seq = self.head().next().unwrap();
            let leader_ts = LeaderTs::from_micros(1_760_000_000_000_000);
            let entry = Entry { seq, leader_ts, statement: text.clone() };
            self.chain = self.chain.link(entry.digest());
            self.entries.push(entry);
        }
        self.batches.push(BatchEnd { last_seq: self.head(), chain: self.chain });
    }

    fn head(&self) -> Seq {
        self.entries.last().map_or(Seq::ZERO, |entry| entry.seq)
    }

    /// A look, by the rules of sources.
    fn fetched(&self, from: Option<Position>, limit: Limit) -> Fetched {
        let start = from.map_or(Seq::FIRST, |own| own.seq);
        let (mut entries, mut bytes) = (Vec::<Entry>::new(), 0);
        let after = self.entries.partition_point(|entry| entry.seq < start);
        for entry in self.entries[after..].iter().take(usize::try_from(limit.entries).unwrap()) {
            if bytes >= limit.bytes {
                break;
            }
            bytes += if entries.is_empty() { 0 } else { entry.statement.len() };
            entries.push(entry.clone());
        }
        let last = entries.last().map_or(Seq::ZERO, |entry| entry.seq);
        let within = |end: &&BatchEnd| end.last_seq >= start && end.last_seq <= last;
        let tip = self.entries.last();
        Fetched {
            history: self.history,
            parent: None,
            head: self.head(),
            tip: tip.map(|last| Tip { digest: last.digest(), chain: self.chain }),
            low_water: Seq::ZERO,
            min_compatible: 1,
            entries,
            batches: self.batches.iter().filter(within).copied().collect(),
            skips: Vec::new(),
            hold: self.hold,
        }
    }
}
