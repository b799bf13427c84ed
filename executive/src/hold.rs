//! Nothing is written while the fleet is ahead of the ledger: a ctldb that was restored to an earlier state would give
//! sequences that nodes have applied already to other entries. `ctlstore ctldb new-history` decides it, or the lost
//! entries come back (a replica that catches up). Pure: `fleet` reads what is compared here.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ctldb::Meta;
use ledger::{Digest, Mark};

use crate::error::{Code, Error};

const PAUSE: Duration = Duration::from_secs(30);

/// Why nothing is written for now, if so.
#[derive(Debug)]
pub(crate) struct Hold(RwLock<Option<String>>);

/// What the ledger and the fleet show.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) meta: &'a Meta,
    /// Where somebody of the fleet is, by what was true before `meta` was read.
    pub(crate) fleet: Mark,
    /// Of the ledger's entry there, if it is still there.
    pub(crate) digest: Option<Digest>,
}

impl Hold {
    /// Where somebody says where the fleet is, nothing is written before it was compared with the ledger.
    pub(crate) fn new(compared: bool) -> Self {
        let waits = || "the ledger was not yet compared with the fleet, try again".to_owned();
        Self(RwLock::new(compared.then(waits)))
    }

    /// Refuses a change of the ledger while the fleet is ahead of it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(Error::new(Code::HistoryBehindFleet, reason).retry_after(PAUSE)),
        }
    }

    pub(crate) fn reason(&self) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when it is held now and was not, or the other way round.
    pub(crate) fn set(&self, reason: Option<String>) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.is_some() != reason.is_some();
        *current = reason;
        changed
    }
}

/// Why nothing may be written. Of another history than the ledger's, nothing can be said: one that this one continues was
/// decided upon, and of any other its sequences mean nothing here.
pub(crate) fn behind(seen: &Seen<'_>) -> Option<String> {
    let Seen { meta, fleet: Mark { history, seq, digest }, digest: ours } = seen;
    let last = meta.last_seq();
    let what = if *history != meta.history {
        return None;
    } else if *seq > last {
        format!("the ledger ends at {last}")
    } else if ours.is_some_and(|ours| ours != *digest) {
        "the ledger has another entry there".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "HistoryBehindFleet: nodes have applied sequence {seq}, {what}, so ctldb was restored to an earlier state: run \"ctlstore ctldb new-history\" with --above a sequence that no node has passed to go on from here, or wait until the lost entries are back"
    ))
}

#[cfg(test)]
mod tests {
    use ctldb::{Epoch, Parent};
    use ledger::{Chain, History, Position, Seq};
    use uuid::Uuid;

    use super::*;

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn digest(of: u8) -> Digest {
        Digest::from_bytes([of; 32])
    }

    fn meta(history: History, last: u64, parent: Option<History>) -> Meta {
        let last = Position { history, seq: seq(last), digest: digest(1), chain: Chain::GENESIS };
        Meta {
            version: 1,
            min_compatible: 1,
            history,
            last: Some(last),
            pruned_through: Seq::ZERO,
            epoch: Epoch::new(0),
            parent: parent.map(|history| Parent { history, seq: seq(10), chain: Chain::GENESIS }),
        }
    }

    #[test]
    fn a_ledger_is_behind_whose_end_or_entry_is_not_the_fleets() {
        let [old, new] = [1, 2].map(|id| History::Id(Uuid::from_u128(id)));
        let check = |meta: &Meta, ours: Option<u8>, want: Option<&str>| {
            let fleet = Mark { history: old, seq: seq(20), digest: digest(7) };
            let reason = behind(&Seen { meta, fleet, digest: ours.map(digest) });
            assert_eq!(reason.is_some(), want.is_some(), "{reason:?}");
            if let (Some(reason), Some(want)) = (reason, want) {
                assert!(reason.contains(want), "{reason}");
                assert!(reason.contains("ctlstore ctldb new-history"), "{reason}");
            }
        };
        check(&meta(old, 20, None), Some(7), None);
        check(&meta(old, 25, None), Some(7), None);
        check(&meta(old, 19, None), None, Some("20, the ledger ends at 19"));
        check(&meta(old, 25, None), Some(8), Some("20, the ledger has another entry there"));
        // It was pruned: the past of both is out of sight.
        check(&meta(old, 25, None), None, None);
        // A new history was begun, above the fleet or not: that was somebody's decision.
        check(&meta(new, 30, Some(old)), Some(8), None);
        check(&meta(new, 19, Some(old)), None, None);
    }

    #[test]
    fn nothing_is_written_before_the_comparison_and_while_held() {
        Hold::new(false).check().unwrap();
        let hold = Hold::new(true);
        assert_eq!(hold.check().unwrap_err().code(), Code::HistoryBehindFleet);
        assert!(hold.set(None));
        hold.check().unwrap();
        assert!(!hold.set(None));
        assert!(hold.set(Some("behind".to_owned())));
        assert!(!hold.set(Some("further behind".to_owned())));
        assert_eq!(hold.check().unwrap_err().to_string(), "further behind");
    }
}
