//! Nothing is written while the fleet is ahead of the ledger: a ctldb that was restored to an earlier state would give
//! sequences that nodes have applied already to other entries. `ctlstore ctldb new-history` decides it, or the lost
//! entries come back (a replica that catches up).
//!
//! Where the fleet is, somebody must say: a file that holds a position as the header `ctlstore-position` has it. Pure but
//! for reading that file.

use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ctldb::Meta;
use ledger::Mark;

use crate::error::{Code, Error};

const PAUSE: Duration = Duration::from_secs(30);

/// Why nothing is written for now, if so.
#[derive(Debug)]
pub(crate) struct Hold(RwLock<Option<String>>);

/// A file that does not say where the fleet is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("cannot read {file}, check that it is mounted and that we may read it")]
    Read { file: String, source: std::io::Error },
    #[error("{file} holds no position")]
    Mark { file: String, source: ledger::MarkError },
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

    /// Compares the ledger with the fleet. True when the verdict is another than before.
    pub(crate) fn judge(&self, meta: &Meta, fleet: &Mark) -> bool {
        let verdict = behind(meta, fleet);
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.is_some() != verdict.is_some();
        *current = verdict;
        changed
    }
}

/// Where the fleet is, as the file says.
pub(crate) fn fleet(file: &Path) -> Result<Mark, FleetError> {
    let name = || file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|source| FleetError::Read { file: name(), source })?;
    text.trim().parse().map_err(|source| FleetError::Mark { file: name(), source })
}

/// Of another history than the ledger's, nothing can be said: one that this one continues was decided upon, and of any
/// other its sequences mean nothing here.
fn behind(meta: &Meta, fleet: &Mark) -> Option<String> {
    let Mark { history, seq, .. } = fleet;
    let last = meta.last_seq();
    let ahead = *history == meta.history && *seq > last;
    ahead.then(|| {
        format!(
            "HistoryBehindFleet: nodes have applied sequence {seq}, the ledger ends at {last}, so ctldb was restored to an earlier state: run \"ctlstore ctldb new-history\" to go on from here, or wait until the lost entries are back"
        )
    })
}

#[cfg(test)]
mod tests {
    use ctldb::{Epoch, Parent};
    use ledger::{Chain, Digest, History, Position, Seq};
    use uuid::Uuid;

    use super::*;

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn mark(history: History, number: u64) -> Mark {
        Mark { history, seq: seq(number), digest: Digest::from_bytes([7; 32]) }
    }

    fn meta(history: History, last: u64, parent: Option<History>) -> Meta {
        let digest = Digest::from_bytes([1; 32]);
        let last = Position { history, seq: seq(last), digest, chain: Chain::GENESIS };
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
    fn the_ledger_waits_for_its_fleet_until_somebody_decides() {
        let [old, new] = [1, 2].map(|id| History::Id(Uuid::from_u128(id)));
        Hold::new(false).check().unwrap();
        let hold = Hold::new(true);
        assert_eq!(hold.check().unwrap_err().code(), Code::HistoryBehindFleet);
        assert!(hold.judge(&meta(old, 20, None), &mark(old, 20)));
        hold.check().unwrap();
        assert!(hold.judge(&meta(old, 19, None), &mark(old, 20)));
        let refused = hold.check().unwrap_err();
        assert_eq!(refused.code(), Code::HistoryBehindFleet);
        assert!(refused.to_string().contains("ctlstore ctldb new-history"), "{refused}");
        // The entries came back.
        assert!(hold.judge(&meta(old, 20, None), &mark(old, 20)));
        hold.check().unwrap();
        // A new history was begun above all of them.
        hold.judge(&meta(old, 19, None), &mark(old, 20));
        assert!(hold.judge(&meta(new, 30, Some(old)), &mark(old, 20)));
        hold.check().unwrap();
    }

    #[test]
    fn the_file_holds_a_position_as_the_header_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fleet");
        let position = mark(History::Legacy, 7);
        std::fs::write(&file, format!("{position}\n")).unwrap();
        assert_eq!(fleet(&file).unwrap(), position);
        std::fs::write(&file, "seven").unwrap();
        assert!(matches!(fleet(&file), Err(FleetError::Mark { .. })));
        assert!(matches!(fleet(&dir.path().join("none")), Err(FleetError::Read { .. })));
    }
}
