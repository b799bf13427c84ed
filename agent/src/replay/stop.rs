//! Why replay stands still, in words that say what to do. Reads go on in every case.

use std::fmt;

use ledger::{History, Seq};

/// Why replay stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The ledger ends before our position: a copy that lags, or a restore.
    Behind { position: Seq, head: Seq },
    /// The ledger is not the one that we applied.
    Forked { position: Seq, fork: Fork },
    /// The ledger does not reach back to our position any more.
    Pruned { position: Seq, low_water: Seq },
    /// Entries are missing, first and last.
    Hole { from: Seq, to: Seq },
    /// An entry cannot be applied.
    Poison(Poison),
    /// An entry is written in a form that only newer agents know.
    TooOld { seq: Seq, needs: u32 },
    /// The source holds us here.
    Held { position: Seq },
}

/// How a ledger shows that it is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fork {
    /// It has another identity.
    History { from: History, to: History },
    /// It branched off ours before our position.
    Branched { from: History, to: History, at: Seq },
    /// It has another entry at our position.
    Entry,
    /// It has no entry at our position though it has later ones.
    Gone,
    /// Its chain is another at our position or at the end of a batch.
    Chain,
}

/// An entry that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Poison {
    pub(crate) seq: Seq,
    pub(crate) why: String,
}

impl Fork {
    pub(crate) fn at(self, position: Seq) -> Stop {
        Stop::Forked { position, fork: self }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Behind { position, head } => write!(
                out,
                "ctldb ends at {head}, before {position}, which is applied here: is it a replica that lags? After a restore run `ctlstore ctldb new-history`"
            ),
            Stop::Forked { position, fork } => write!(
                out,
                "ctldb is not the ledger that was applied here up to {position}: {fork}. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
            ),
            Stop::Pruned { position, low_water } => write!(
                out,
                "ctldb has no entries up to {low_water} any more, and {position} is applied here: only a snapshot that is newer helps"
            ),
            Stop::Hole { from, to } => write!(
                out,
                "ctldb lacks the entries {from} to {to}: they were lost or deleted by hand, restore them"
            ),
            Stop::Poison(Poison { seq, why }) => write!(
                out,
                "entry {seq} cannot be applied: {why}. To go on without it, run `ctlstore ledger skip {seq} --reason TEXT`"
            ),
            Stop::TooOld { seq, needs } => write!(
                out,
                "entry {seq} is in a form that this agent does not know: upgrade the agent to >= 0.{needs}"
            ),
            Stop::Held { position } => write!(out, "held at {position}, as the source asks"),
        }
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fork::History { from, to } => {
                write!(out, "it is the history {to}, which does not continue {from}")
            }
            Fork::Branched { from, to, at } => {
                write!(out, "it is the history {to}, which left {from} at {at}")
            }
            Fork::Entry => out.write_str("it has another entry there"),
            Fork::Gone => out.write_str("it has no entry there, though it has later ones"),
            Fork::Chain => out.write_str("its chain of digests is another"),
        }
    }
}
