//! Decides how a node begins, from what it has, what the ledger says and which snapshots there are. Pure: no client, no
//! clock, no file.
//!
//! An LDB or a snapshot is fed from a ledger only if it stands at or above the low water and the ledger has, at its position,
//! the very entry that it applied; or had it in the history that the ledger continues. Anything else is left alone: what is
//! missing cannot be guessed.

use std::collections::BTreeMap;

use ledger::{Digest, History, Position, Seq};

/// What there is to decide from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The LDB on this node.
    pub own: Own,
    /// What ctldb says; none when it cannot be reached.
    pub ledger: Option<Ledger>,
    /// What the store has.
    pub snapshots: Snapshots,
    /// An entry that this agent could not apply: to begin below it again would end there again.
    pub stuck_at: Option<Seq>,
}

/// The LDB on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// There is none, or nothing was ever applied to it.
    Empty,
    /// There is one, and it cannot be used.
    Unsound,
    /// It is sound and stands here.
    At(Position),
}

/// What ctldb says about its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// Which one it is.
    pub history: History,
    /// The history that it continues, and the last entry of that.
    pub parent: Option<(History, Seq)>,
    /// The last entry.
    pub head: Seq,
    /// Entries up to here may be gone.
    pub low_water: Seq,
    /// The digests of the entries at the positions in question, of those that are there.
    pub entries: BTreeMap<Seq, Digest>,
}

/// What the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshots {
    /// There is no store.
    NotConfigured,
    /// It does not answer, or denies.
    Unreachable,
    /// These, in any order.
    Known(Vec<Position>),
}

/// How a node begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the LDB that it has: serve it, follow the ledger when it answers.
    Keep,
    /// With the first of these snapshots that is a good copy. What is served stays until then.
    Download(Vec<Position>),
    /// With nothing: replay the ledger, which is whole.
    Empty,
    /// Not yet: serve what there is, say why, look again later.
    Wait(Why),
}

/// Why a node waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// There is nothing to begin with and nobody to ask.
    #[error("there is no LDB and no snapshot, and ctldb cannot be reached")]
    NothingReachable,
    /// The store may have what is needed.
    #[error("the snapshot store cannot be reached, and only a snapshot helps")]
    StoreUnreachable,
    /// Entries are gone, and no snapshot bridges the gap.
    #[error(
        "the ledger begins after entry {low_water} and no snapshot of it is that new: take one on a node that is further, or restore one"
    )]
    Gap {
        /// Entries up to here are gone.
        low_water: Seq,
    },
    /// The LDB is of another ledger, and no snapshot is of this one.
    #[error(
        "the LDB is forked from the ledger, and no snapshot is of this ledger: take one on a node that is not forked"
    )]
    Forked,
    /// All snapshots would end at the same entry.
    #[error(
        "entry {seq} cannot be applied and no snapshot is beyond it: upgrade the agent, or run `ctlstore ledger skip {seq} --reason TEXT`"
    )]
    Stuck {
        /// The entry.
        seq: Seq,
    },
}

/// How a copy stands to a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The ledger goes on from it.
    Follows,
    /// The ledger does not reach up to it: it may be behind, as a replica is. Nothing is wrong yet.
    Ahead,
    /// Entries that it lacks are gone.
    Pruned,
    /// The ledger has something else there.
    Forked,
}

/// Decides.
#[must_use]
pub fn decide(seen: &Seen) -> Start {
    let Seen { own, ledger, snapshots, stuck_at } = seen;
    match (own, ledger) {
        // Whatever it is, it is better than nothing, and only the ledger could tell.
        (Own::At(_), None) => Start::Keep,
        (Own::At(position), Some(ledger)) => match (standing(position, ledger), stuck_at) {
            (Standing::Follows, Some(seq)) => from_snapshot(seen, ledger, Why::Stuck { seq: *seq }),
            (Standing::Follows | Standing::Ahead, _) => Start::Keep,
            (Standing::Pruned, _) => {
                from_snapshot(seen, ledger, Why::Gap { low_water: ledger.low_water })
            }
            (Standing::Forked, _) => from_snapshot(seen, ledger, Why::Forked),
        },
        (Own::Empty | Own::Unsound, Some(ledger)) => {
            let whole = ledger.low_water == Seq::ZERO;
            match from_snapshot(seen, ledger, Why::Gap { low_water: ledger.low_water }) {
                // A store that is down comes back; a fleet that replays everything meanwhile brings ctldb down, too.
                Start::Wait(Why::Gap { .. }) if whole => Start::Empty,
                start => start,
            }
        }
        (Own::Empty | Own::Unsound, None) => match snapshots {
            Snapshots::Known(all) if !all.is_empty() => Start::Download(newest_first(all.clone())),
            Snapshots::Unreachable | Snapshots::NotConfigured | Snapshots::Known(_) => {
                Start::Wait(Why::NothingReachable)
            }
        },
    }
}

/// The snapshots that this ledger goes on from; if there is none, why that is no way.
fn from_snapshot(seen: &Seen, ledger: &Ledger, else_why: Why) -> Start {
    let all = match &seen.snapshots {
        Snapshots::NotConfigured => return Start::Wait(else_why),
        Snapshots::Unreachable => return Start::Wait(Why::StoreUnreachable),
        Snapshots::Known(all) => all,
    };
    let passes = |position: &&Position| seen.stuck_at.is_none_or(|stuck| position.seq >= stuck);
    let follows = |position: &&Position| standing(position, ledger) == Standing::Follows;
    let good: Vec<_> = all.iter().filter(follows).filter(passes).copied().collect();
    if good.is_empty() { Start::Wait(else_why) } else { Start::Download(newest_first(good)) }
}

fn newest_first(mut positions: Vec<Position>) -> Vec<Position> {
    positions.sort_by_key(|position| std::cmp::Reverse(position.seq));
    positions
}

/// How a copy at this position stands to the ledger.
#[must_use]
pub fn standing(position: &Position, ledger: &Ledger) -> Standing {
    let Position { history, seq, digest, .. } = *position;
    let known = history == ledger.history
        || ledger.parent.is_some_and(|(parent, end)| history == parent && seq <= end);
    if !known {
        return Standing::Forked;
    }
    if seq > ledger.head {
        return Standing::Ahead;
    }
    if seq < ledger.low_water {
        return Standing::Pruned;
    }
    match ledger.entries.get(&seq) {
        Some(entry) if *entry == digest => Standing::Follows,
        Some(_) => Standing::Forked,
        // The entry at the low water itself may be gone; the chain proves the next batch.
        None if seq == ledger.low_water => Standing::Follows,
        None => Standing::Forked,
    }
}

#[cfg(test)]
mod tests;
