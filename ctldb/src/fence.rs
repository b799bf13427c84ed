//! Fencing: a deposed operator may not write.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Reign;

/// The number of a leader's reign. It rises by one with each leader and never falls, other than a Lease's transitions,
/// which start again when the Lease is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(u64);

impl Epoch {
    /// From its number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

/// What a change demands of the epoch, checked after its lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// Nothing: the executive, which is not elected.
    Open,
    /// It must still be this one: an operator that leads for the whole ctldb.
    Epoch(Epoch),
    /// It must still last: the operator of one of several clusters.
    Reign(Reign),
}
