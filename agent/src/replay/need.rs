//! What the loop cannot do by itself: it needs another file, or leave to begin. Told to the bootstrap.

use ledger::Seq;
use tokio::sync::watch;

use crate::replay::stop::{Poison, Stop};

/// What the loop needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It did not look yet.
    Unknown,
    Nothing,
    /// There is no LDB yet.
    Begin,
    /// The file is bad.
    Damaged,
    /// The ledger is another one.
    Forked,
    /// Entries that come next are gone.
    Gap,
    /// Nothing goes past this entry.
    Stuck(Seq),
}

impl From<&Stop> for Need {
    fn from(stop: &Stop) -> Self {
        match stop {
            Stop::Forked { .. } => Need::Forked,
            Stop::Pruned { .. } => Need::Gap,
            Stop::Hole { to, .. } => Need::Stuck(*to),
            Stop::Poison(Poison { seq, .. }) | Stop::TooOld { seq, .. } => Need::Stuck(*seq),
            // Time brings it right, or somebody does.
            Stop::Behind { .. } | Stop::Held { .. } => Need::Nothing,
        }
    }
}

/// Tells what the loop needs.
#[derive(Debug, Clone)]
pub(crate) struct Needs(watch::Sender<Need>);

impl Needs {
    pub(crate) fn new() -> (Self, watch::Receiver<Need>) {
        let (tell, told) = watch::channel(Need::Unknown);
        (Self(tell), told)
    }

    /// Wakes nobody when it is known.
    pub(crate) fn set(&self, need: Need) {
        self.0.send_if_modified(|known| std::mem::replace(known, need) != need);
    }
}
