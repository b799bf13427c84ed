//! The newest changes, in memory: as many as fit, for those who follow and look soon. It says what it does not hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::Seq;
use tokio::sync::watch;

use crate::changes::Change;
use crate::changes::ring::{MOST, Most, Ring};

/// What one answer has at most.
const BATCH: usize = 1000;

/// Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    held: Mutex<Held>,
    tip: watch::Sender<Tip>,
    most: Most,
}

#[derive(Debug, Default)]
struct Held {
    ring: Ring,
    /// All changes after it are held, up to the tip.
    floor: Seq,
    tip: Tip,
}

/// Up to where everything was told, since when without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tip {
    seq: Seq,
    /// Rises when changes were passed over: another file is served.
    run: u64,
}

/// What came after a sequence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Since {
    /// All of it up to `through`, from where to ask next; that is not always the last change's sequence, for the frames of
    /// transactions change nothing.
    Changes { changes: Vec<Arc<Change>>, through: Seq },
    /// That is not held any more: reload, and ask next from `oldest`.
    FellBehind { oldest: Seq },
}

impl Hub {
    /// One that was told nothing yet.
    pub(crate) fn new() -> Self {
        Self::with(MOST)
    }

    fn with(most: Most) -> Self {
        let tip = watch::Sender::default();
        Self(Arc::new(Shared { held: Mutex::default(), tip, most }))
    }

    /// The LDB stands here, and how it came here was not told: whoever follows reloads.
    pub(crate) fn restart(&self, at: Seq) {
        let mut held = self.held();
        let tip = Tip { seq: at, run: held.tip.run + 1 };
        *held = Held { floor: at, tip, ..Held::default() };
        self.0.tip.send_replace(tip);
    }

    /// What a commit changed; the LDB stands at `through` now.
    pub(super) fn record(&self, changes: Ring, through: Seq) {
        let mut held = self.held();
        held.ring.append(changes, self.0.most);
        held.floor = held.ring.dropped().unwrap_or(held.floor);
        held.tip.seq = through;
        self.0.tip.send_replace(held.tip);
    }

    /// Up to where everything was told.
    pub(crate) fn through(&self) -> Seq {
        self.held().tip.seq
    }

    /// What came after this sequence, oldest first; not all at once when it is much.
    pub(crate) fn since(&self, after: Seq) -> Since {
        let held = self.held();
        if after < held.floor {
            return Since::FellBehind { oldest: held.tip.seq };
        }
        let changes = held.ring.after(after, BATCH);
        let through = match changes.last() {
            Some(last) if changes.len() == BATCH => last.seq,
            // A follower may know of a commit that is not told yet.
            Some(_) | None => held.tip.seq.max(after),
        };
        Since::Changes { changes, through }
    }

    /// Follows from this sequence on.
    pub(crate) fn follow(&self, after: Seq) -> Follower {
        let tip = self.0.tip.subscribe();
        let run = self.held().tip.run;
        Follower { hub: self.clone(), after, run, tip }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who follows.
#[derive(Debug)]
pub(crate) struct Follower {
    hub: Hub,
    after: Seq,
    run: u64,
    tip: watch::Receiver<Tip>,
}

impl Follower {
    /// What comes next, waited for. It can be dropped and called again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Since {
        loop {
            let tip = *self.tip.borrow_and_update();
            let since = if tip.run == self.run {
                self.hub.since(self.after)
            } else {
                Since::FellBehind { oldest: tip.seq }
            };
            match &since {
                Since::Changes { changes, through } => {
                    let news = !changes.is_empty() || *through > self.after;
                    self.after = *through;
                    if news {
                        return since;
                    }
                }
                Since::FellBehind { oldest } => {
                    (self.after, self.run) = (*oldest, tip.run);
                    return since;
                }
            }
            // The hub lives as long as its followers.
            drop(self.tip.changed().await);
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::{LeaderTs, Value};

    use super::*;
    use crate::changes::Op;
    use crate::changes::change::tests::table;

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn change(number: u64) -> Arc<Change> {
        let table = table("fam___tbl", &[("n", ledger::ColumnType::Integer)]);
        let key = vec![Value::Integer(number.try_into().unwrap())];
        Arc::new(Change { seq: seq(number), at: LeaderTs::UNKNOWN, op: Op::Upsert, table, key })
    }

    fn ring(changes: impl IntoIterator<Item = u64>, most: Most) -> Ring {
        let mut ring = Ring::default();
        changes.into_iter().for_each(|number| ring.push(change(number), most));
        ring
    }

    fn told(since: Since) -> (Vec<u64>, u64) {
        match since {
            Since::Changes { changes, through } => {
                (changes.iter().map(|change| change.seq.get()).collect(), through.get())
            }
            Since::FellBehind { oldest } => panic!("fell behind, oldest {oldest}"),
        }
    }

    fn behind(oldest: u64) -> Since {
        Since::FellBehind { oldest: seq(oldest) }
    }

    #[test]
    fn it_holds_what_fits_and_says_what_it_does_not_hold() {
        let hub = Hub::with(Most { changes: 3, bytes: 1 << 20 });
        hub.restart(seq(10));
        assert_eq!(hub.since(seq(9)), behind(10));
        assert_eq!(told(hub.since(seq(10))), (vec![], 10));
        assert_eq!(told(hub.since(seq(12))), (vec![], 12), "told of later than it was committed");
        // 11 and 15 are the frame of a transaction.
        hub.record(ring([12, 13, 14], MOST), seq(15));
        assert_eq!(told(hub.since(seq(10))), (vec![12, 13, 14], 15));
        assert_eq!(told(hub.since(seq(13))), (vec![14], 15));
        assert_eq!(told(hub.since(seq(14))), (vec![], 15));
        hub.record(ring([16], MOST), seq(16));
        assert_eq!(hub.since(seq(11)), behind(16));
        assert_eq!(told(hub.since(seq(12))), (vec![13, 14, 16], 16));
        hub.restart(seq(5));
        assert_eq!(hub.since(seq(4)), behind(5));
        assert_eq!(hub.through(), seq(5));
    }

    #[test]
    fn its_memory_is_bounded_by_bytes_too() {
        let one = change(1).bytes();
        let hub = Hub::with(Most { changes: 100, bytes: 4 * one });
        hub.restart(Seq::ZERO);
        hub.record(ring(1..=10, MOST), seq(10));
        assert_eq!(told(hub.since(seq(6))), (vec![7, 8, 9, 10], 10));
        assert_eq!(hub.since(seq(5)), behind(10));
        assert!(hub.held().ring.bytes() <= 4 * one);
        // A transaction that is larger than all of it.
        hub.record(ring(11..=20, Most { changes: 2, bytes: 1 << 20 }), seq(20));
        assert_eq!(told(hub.since(seq(18))), (vec![19, 20], 20));
        assert_eq!(hub.since(seq(17)), behind(20));
    }

    #[test]
    fn much_comes_in_parts() {
        let hub = Hub::new();
        hub.restart(Seq::ZERO);
        hub.record(ring(1..=2500, MOST), seq(2501));
        let (mut after, mut parts) = (0, Vec::new());
        while after < 2501 {
            let (changes, through) = told(hub.since(seq(after)));
            assert_eq!(changes.first(), (after < 2500).then_some(after + 1).as_ref());
            parts.push(changes.len());
            after = through;
        }
        assert_eq!(parts, [1000, 1000, 500]);
    }

    #[tokio::test]
    async fn a_follower_gets_each_change_once_and_hears_of_a_break() {
        let hub = Hub::new();
        hub.restart(seq(3));
        let mut late = hub.follow(seq(1));
        assert_eq!(late.next().await, behind(3));
        let mut follower = hub.follow(seq(3));
        let next = tokio::spawn(async move {
            let first = follower.next().await;
            (first, follower)
        });
        tokio::task::yield_now().await;
        hub.record(ring([4], MOST), seq(4));
        let (first, mut follower) = next.await.unwrap();
        assert_eq!(told(first), (vec![4], 4));
        // A transaction of nothing is news, too: the position.
        hub.record(Ring::default(), seq(6));
        assert_eq!(told(follower.next().await), (vec![], 6));
        // Another file at the same place, by another way.
        hub.restart(seq(6));
        assert_eq!(follower.next().await, behind(6));
        hub.record(ring([7], MOST), seq(7));
        assert_eq!(told(follower.next().await), (vec![7], 7));
        assert_eq!(late.next().await, behind(7));
    }
}
