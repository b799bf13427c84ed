//! When the pointer to the newest snapshot may move.

use crate::{History, Position, Seq};

/// The pointer stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is there already.
    #[error("the pointer is at entry {seq} already")]
    Same {
        /// The entry.
        seq: Seq,
    },
    /// Somebody published a newer snapshot.
    #[error("the pointer is at entry {to}, beyond {from}: it never goes back")]
    Behind {
        /// Where it would go.
        from: Seq,
        /// Where it is.
        to: Seq,
    },
    /// The same sequence with another entry: one of the two was not made from this ledger.
    #[error("the pointer's snapshot has another entry {seq}: one of the two is not of this ledger")]
    Forked {
        /// The entry.
        seq: Seq,
    },
    /// Histories have folders of their own.
    #[error("a snapshot of history {from} does not go where those of {to} are")]
    ForeignHistory {
        /// Of the new snapshot.
        from: History,
        /// Of the pointer.
        to: History,
    },
}

/// May the pointer move from `current` (none: there is no pointer yet) to `next`? It never goes back, so any number of
/// uploaders are harmless.
///
/// # Errors
/// Why not.
pub fn may_move(current: Option<Position>, next: Position) -> Result<(), Refused> {
    let Some(current) = current else { return Ok(()) };
    if current.history != next.history {
        return Err(Refused::ForeignHistory { from: next.history, to: current.history });
    }
    let seq = next.seq;
    match current.seq.cmp(&seq) {
        std::cmp::Ordering::Less => Ok(()),
        std::cmp::Ordering::Equal if current.digest == next.digest => Err(Refused::Same { seq }),
        std::cmp::Ordering::Equal => Err(Refused::Forked { seq }),
        std::cmp::Ordering::Greater => Err(Refused::Behind { from: seq, to: current.seq }),
    }
}
