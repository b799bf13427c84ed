//! The newest changes, as many as fit.

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::Seq;

use crate::changes::Change;

/// What it holds at most. An idle agent is to stay small.
pub(super) const MOST: Most = Most { changes: 8192, bytes: 1 << 20 };

#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) changes: usize,
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Ring {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    /// The last that had no room. What comes after it is here.
    dropped: Option<Seq>,
}

impl Ring {
    pub(super) fn push(&mut self, change: Arc<Change>, most: Most) {
        self.bytes += change.bytes();
        self.changes.push_back(change);
        while self.changes.len() > most.changes || self.bytes > most.bytes {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.dropped = Some(oldest.seq);
        }
    }

    /// A change that is not kept, and with it those before.
    pub(super) fn pass_over(&mut self, seq: Seq) {
        if !self.changes.is_empty() {
            self.clear();
        }
        self.dropped = Some(seq);
    }

    /// Takes in what comes after its own.
    pub(super) fn append(&mut self, later: Ring, most: Most) {
        if later.dropped.is_some() {
            *self = later;
            return;
        }
        later.changes.into_iter().for_each(|change| self.push(change, most));
    }

    pub(super) fn dropped(&self) -> Option<Seq> {
        self.dropped
    }

    /// The first ones after a sequence, and all of the last one's sequence: an entry may delete several rows.
    pub(super) fn after(&self, seq: Seq, count: usize) -> Vec<Arc<Change>> {
        let first = self.changes.partition_point(|change| change.seq <= seq);
        let mut found: Vec<_> = self.changes.range(first..).take(count).cloned().collect();
        if let Some(last) = found.last().map(|last| last.seq) {
            let rest = self.changes.range(first + found.len()..);
            found.extend(rest.take_while(|change| change.seq == last).cloned());
        }
        found
    }

    /// Gives back the memory of a large transaction, too.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
