//! When a snapshot is taken. Pure: told what is seen and how long ago it was.

use std::fmt;
use std::time::Duration;

use ledger::{Position, Seq};

use crate::status::State;

/// With nothing but heartbeats, one so often: the ledger is pruned up to snapshots, and a new node replays less.
const IDLE: Duration = Duration::from_secs(3600);
/// What is not ready to be copied is looked at again after so long, for looking costs nothing.
const SOON: Duration = Duration::from_secs(2);

/// What this process knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    /// Is it this one that uploads?
    pub(crate) leads: bool,
    /// What replay is doing.
    pub(crate) state: State,
    /// Are many entries missing, which come?
    pub(crate) catches_up: bool,
    /// Where the LDB stands.
    pub(crate) position: Option<Position>,
}

/// The newest snapshot in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) seq: Seq,
    pub(crate) age: Duration,
    /// Entries of the LDB beyond it that are no heartbeats; not fewer than there are.
    pub(crate) changes: u64,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) interval: Duration,
    pub(crate) min_entries: u64,
}

/// Why no snapshot is taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Another process uploads.
    Follows,
    /// Nothing was applied yet.
    Empty,
    /// It is not certain that what was applied is in the ledger.
    Unsure(State),
    /// It would be old before it is there.
    CatchesUp,
    /// The newest one is young.
    Fresh,
    /// Too few entries were added.
    Few,
    /// The newest one has more than the LDB.
    Ahead,
}

impl fmt::Display for Wait {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Wait::Follows => "another process is elected to upload snapshots, or none yet",
            Wait::Empty => "nothing was applied to the LDB yet",
            Wait::Unsure(state) => {
                return write!(
                    out,
                    "replay is {}: what was applied may not be in the ledger",
                    state.as_str()
                );
            }
            Wait::CatchesUp => "the LDB is catching up with the ledger",
            Wait::Fresh => "the newest snapshot is younger than --snapshot-interval",
            Wait::Few => "fewer entries than --snapshot-min-entries were added, heartbeats aside",
            Wait::Ahead => "the newest snapshot has more entries than the LDB",
        })
    }
}

/// May the LDB be copied and published at all? What is not in the ledger must never be: its sequence might be above all
/// that comes later.
pub(crate) fn may(own: &Own) -> Result<Position, (Wait, Duration)> {
    if !own.leads {
        return Err((Wait::Follows, SOON));
    }
    let position = own.position.ok_or((Wait::Empty, SOON))?;
    match own.state {
        State::Following | State::Poisoned | State::TooOld | State::Held => {}
        State::Starting
        | State::Bootstrapping
        | State::Away
        | State::Behind
        | State::Forked
        | State::Pruned
        | State::Hole
        | State::LdbTrouble => return Err((Wait::Unsure(own.state), SOON)),
    }
    if own.catches_up {
        return Err((Wait::CatchesUp, SOON));
    }
    Ok(position)
}

/// Does it mean that what was applied, and copied while all was well, was lost by the ledger since? That ctldb is away means
/// nothing: an upload that is under way may end.
pub(crate) fn condemns(state: State) -> bool {
    match state {
        State::Behind | State::Forked => true,
        State::Starting
        | State::Bootstrapping
        | State::Following
        | State::Away
        | State::Pruned
        | State::Hole
        | State::Poisoned
        | State::TooOld
        | State::Held
        | State::LdbTrouble => false,
    }
}

/// Is it time for a snapshot at this sequence? If not: why, and when to look again.
pub(crate) fn due(seq: Seq, newest: Option<Newest>, terms: Terms) -> Result<(), (Wait, Duration)> {
    let Some(newest) = newest else { return Ok(()) };
    let wait = |why, at: Duration| Err((why, at.saturating_sub(newest.age).max(SOON)));
    if seq < newest.seq {
        return Err((Wait::Ahead, terms.interval));
    }
    if newest.age < terms.interval {
        return wait(Wait::Fresh, terms.interval);
    }
    let enough = newest.changes >= terms.min_entries.max(1);
    let idle = seq > newest.seq && newest.age >= IDLE.max(terms.interval);
    if enough || idle {
        return Ok(());
    }
    // Entries may come at any time.
    Err((Wait::Few, terms.interval))
}

#[cfg(test)]
mod tests {
    use ledger::{Chain, Digest, History};

    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn own() -> Own {
        let (seq, digest) = (Seq::new(9).unwrap(), Digest::from_bytes([1; 32]));
        let position = Position { history: History::Legacy, seq, digest, chain: Chain::GENESIS };
        Own { leads: true, state: State::Following, catches_up: false, position: Some(position) }
    }

    #[test]
    fn only_what_is_in_the_ledger_is_published_and_by_one() {
        assert_eq!(may(&own()), Ok(own().position.unwrap()));
        let check = |own: Own, why| assert_eq!(may(&own), Err((why, SOON)), "{own:?}");
        check(Own { leads: false, ..own() }, Wait::Follows);
        check(Own { position: None, ..own() }, Wait::Empty);
        check(Own { catches_up: true, ..own() }, Wait::CatchesUp);
        for state in State::ALL {
            let seen = Own { state, ..own() };
            match state {
                State::Following | State::Poisoned | State::TooOld | State::Held => {
                    assert!(may(&seen).is_ok(), "{state:?}");
                }
                _ => check(seen, Wait::Unsure(state)),
            }
            // Where an upload is broken off, none begins.
            assert!(!condemns(state) || may(&seen).is_err(), "{state:?}");
        }
    }

    #[test]
    fn a_snapshot_is_due_when_enough_was_added_and_hourly_at_most_when_idle() {
        let terms = Terms { interval: secs(300), min_entries: 10 };
        let newest = |seq, age, changes| {
            Some(Newest { seq: Seq::new(seq).unwrap(), age: secs(age), changes })
        };
        let check = |newest, want| assert_eq!(due(Seq::new(100).unwrap(), newest, terms), want);
        check(None, Ok(()));
        // Young, however much was added.
        check(newest(50, 0, 50), Err((Wait::Fresh, secs(300))));
        check(newest(50, 299, 50), Err((Wait::Fresh, SOON)));
        check(newest(50, 120, 0), Err((Wait::Fresh, secs(180))));
        check(newest(50, 300, 10), Ok(()));
        check(newest(50, 300, 9), Err((Wait::Few, secs(300))));
        // Heartbeats only, or too few.
        check(newest(50, 3599, 0), Err((Wait::Few, secs(300))));
        check(newest(50, 3600, 0), Ok(()));
        check(newest(50, 3600, 9), Ok(()));
        // Nothing at all.
        check(newest(100, 99_999, 0), Err((Wait::Few, secs(300))));
        // Somebody else is further.
        check(newest(101, 99_999, 0), Err((Wait::Ahead, secs(300))));
    }

    #[test]
    fn an_interval_beyond_an_hour_is_kept_and_a_minimum_of_none_is_one() {
        let newest = |age, changes| Some(Newest { seq: Seq::ZERO, age: secs(age), changes });
        let seq = Seq::new(1).unwrap();
        let long = Terms { interval: secs(7200), min_entries: 10 };
        assert_eq!(due(seq, newest(3600, 0), long), Err((Wait::Fresh, secs(3600))));
        assert_eq!(due(seq, newest(7200, 0), long), Ok(()));
        let none = Terms { interval: secs(300), min_entries: 0 };
        assert_eq!(due(seq, newest(300, 0), none), Err((Wait::Few, secs(300))));
    }
}
