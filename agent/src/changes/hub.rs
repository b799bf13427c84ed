//! The newest changes, in memory: as many as fit, for those who follow and look soon. It says what it does not hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::Seq;
use tokio::sync::watch;

use crate::changes::ring::{MOST, Most, Ring};
use crate::changes::{Change, Epoch};

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
    /// None while the LDB is empty.
    epoch: Option<Epoch>,
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
    pub(crate) fn restart(&self, at: Seq, epoch: Option<Epoch>) {
        let mut held = self.held();
        let tip = Tip { seq: at, run: held.tip.run + 1, epoch };
        *held = Held { floor: at, tip, ..Held::default() };
        self.0.tip.send_replace(tip);
    }

    /// What a commit changed; the LDB stands at `through` now.
    pub(super) fn record(&self, changes: Ring, through: Seq, epoch: Epoch) {
        let mut held = self.held();
        if held.tip.epoch.is_some_and(|own| own.incarnation != epoch.incarnation) {
            // Sequences of before may mean something else: whoever comes with one reloads.
            held.tip.run += 1;
        }
        held.tip.epoch = Some(epoch);
        held.ring.append(changes, self.0.most);
        held.floor = held.ring.dropped().unwrap_or(held.floor);
        held.tip.seq = through;
        self.0.tip.send_replace(held.tip);
    }

    /// What came after this sequence, oldest first; not all at once when it is much.
    pub(crate) fn since(&self, after: Seq) -> Since {
        let held = self.held();
        if after < held.floor {
            return Since::FellBehind { oldest: held.tip.seq };
        }
        let changes = held.ring.after(after, BATCH);
        let through = match changes.last() {
            Some(last) if changes.len() >= BATCH => last.seq,
            // A follower may know of a commit that is not told yet.
            Some(_) | None => held.tip.seq.max(after),
        };
        Since::Changes { changes, through }
    }

    /// Follows from this sequence on; from now on without it.
    pub(crate) fn follow(&self, after: Option<Seq>) -> Follower {
        let tip = self.0.tip.subscribe();
        let now = self.held().tip;
        Follower { hub: self.clone(), after: after.unwrap_or(now.seq), run: now.run, tip }
    }

    /// Follows from a sequence on that is of this epoch. If it is not the one of now, that means reload.
    pub(crate) fn follow_in(&self, epoch: Epoch, after: Seq) -> Follower {
        let mut follower = self.follow(Some(after));
        if self.held().tip.epoch != Some(epoch) {
            follower.run = follower.run.wrapping_sub(1);
        }
        follower
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
    /// From where it follows, and in which epoch, unless it is to reload.
    pub(crate) fn stands(&self) -> (Seq, Option<Epoch>) {
        let tip = *self.tip.borrow();
        (self.after, tip.epoch.filter(|_| tip.run == self.run))
    }

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
mod tests;
