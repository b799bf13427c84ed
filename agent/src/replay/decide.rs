//! What to do with what a source returned. Pure: no database, no clock.
//!
//! The rules, in their order: which ledger it is, whether it reaches to our position and back to it, whether the entry
//! at our position is the one that we applied, then entry by entry whether it follows, whether the chain is right where
//! a batch ends, and whether its text is a statement. What was found good before a stop is applied.

use std::collections::HashMap;

use ledger::{Chain, Entry, History, Position, Seq, Statement};

use crate::replay::plan::{Action, Plan, Standing, Step, Then};
use crate::replay::stop::{Fork, Poison, Stop};
use crate::source::{Fetched, KNOWN_VERSION, Parent};

/// Decides.
pub(crate) fn decide(standing: Standing, fetched: &Fetched) -> Plan {
    let head = fetched.head;
    let stop = |stop| Plan { head, steps: Vec::new(), then: Then::Stop(stop) };
    if let Err(why) = belongs(standing, fetched) {
        return stop(why);
    }
    if fetched.ends_at(standing.position) {
        return Plan { head, steps: Vec::new(), then: ended(standing.in_frame, head) };
    }
    match behind_own(standing, fetched) {
        Err(why) => stop(why),
        Ok(rest) => {
            let mut walk = Walk::new(standing, fetched);
            let then = walk.entries(rest).err().map_or_else(|| walk.end(rest), Then::Stop);
            Plan { head, steps: walk.steps, then }
        }
    }
}

/// Is it the ledger that the LDB follows, and does it reach far enough in both directions?
fn belongs(standing: Standing, fetched: &Fetched) -> Result<(), Stop> {
    let Some(own) = standing.position else {
        return match fetched.low_water {
            Seq::ZERO => Ok(()),
            low_water => Err(Stop::Pruned { position: Seq::ZERO, low_water }),
        };
    };
    if own.history != fetched.history {
        let (from, to) = (own.history, fetched.history);
        match fetched.parent {
            Some(Parent { history, seq, chain }) if history == from => {
                if own.seq > seq || (own.seq == seq && own.chain != chain) {
                    return Err(Fork::Branched { from, to, at: seq }.at(own.seq));
                }
            }
            Some(_) | None => return Err(Fork::History { from, to }.at(own.seq)),
        }
    }
    if fetched.head < own.seq {
        return Err(Stop::Behind { position: own.seq, head: fetched.head });
    }
    if own.seq < fetched.low_water {
        return Err(Stop::Pruned { position: own.seq, low_water: fetched.low_water });
    }
    Ok(())
}

/// A frame is written in one transaction, so a ledger cannot end within one.
fn ended(in_frame: bool, seq: Seq) -> Then {
    match in_frame {
        false => Then::Idle,
        true => {
            let why = "the ledger ends before the COMMIT of this transaction".to_owned();
            Then::Stop(Stop::Poison(Poison { seq, why }))
        }
    }
}

/// The entries after our own, once that one is known to be the one that we applied.
fn behind_own(standing: Standing, fetched: &Fetched) -> Result<&[Entry], Stop> {
    let Some(own) = standing.position else { return Ok(&fetched.entries) };
    match fetched.entries.split_first() {
        Some((first, rest)) if first.seq == own.seq => {
            if first.digest() == own.digest {
                Ok(rest)
            } else {
                Err(Fork::Entry.at(own.seq))
            }
        }
        // Ours may be gone where pruning has come to; what follows is proved by the chain.
        _ if own.seq <= fetched.low_water => Ok(&fetched.entries),
        _ if fetched.history == History::Legacy => Err(Fork::Gone.at(own.seq)),
        _ if fetched.entries.is_empty() && fetched.head == own.seq => Err(Fork::Entry.at(own.seq)),
        _ => Err(Stop::Hole { from: own.seq, to: before_first(fetched) }),
    }
}

fn before_first(fetched: &Fetched) -> Seq {
    fetched.entries.first().map_or(fetched.head, |entry| entry.seq.before())
}

struct Walk<'a> {
    fetched: &'a Fetched,
    ends: HashMap<Seq, Chain>,
    skips: HashMap<Seq, &'a str>,
    /// The last entry looked at, and the chain there.
    seq: Seq,
    chain: Chain,
    in_frame: bool,
    steps: Vec<Step>,
    /// How many steps the ledger's own chain vouches for.
    proved: usize,
}

impl<'a> Walk<'a> {
    fn new(standing: Standing, fetched: &'a Fetched) -> Self {
        let own = standing.position;
        Self {
            fetched,
            ends: fetched.batches.iter().map(|end| (end.last_seq, end.chain)).collect(),
            skips: fetched.skips.iter().map(|skip| (skip.seq, skip.reason.as_str())).collect(),
            seq: own.map_or(Seq::ZERO, |own| own.seq),
            chain: own.map_or(Chain::GENESIS, |own| own.chain),
            in_frame: standing.in_frame,
            steps: Vec::new(),
            proved: 0,
        }
    }

    fn entries(&mut self, entries: &[Entry]) -> Result<(), Stop> {
        // Where we stand may be the end of a batch too.
        self.prove()?;
        self.steps.reserve(entries.len());
        for entry in entries {
            if self.fetched.hold.is_some_and(|hold| entry.seq > hold) {
                self.drop_open_frame();
                return Err(Stop::Held { position: self.seq });
            }
            self.follows(entry.seq)?;
            let digest = entry.digest();
            let chain = self.chain.link(digest);
            let action = self.action(entry)?;
            (self.seq, self.chain) = (entry.seq, chain);
            let history = self.history_of(entry.seq);
            let position = Position { history, seq: entry.seq, digest, chain };
            self.steps.push(Step { position, leader_ts: entry.leader_ts, action });
            self.prove()?;
        }
        Ok(())
    }

    /// An entry keeps the history that it was written in: a copy that has nothing of the new history yet may still follow
    /// any other that continues the same parent.
    fn history_of(&self, seq: Seq) -> History {
        match self.fetched.parent {
            Some(parent) if seq <= parent.seq => parent.history,
            Some(_) | None => self.fetched.history,
        }
    }

    /// Compares the chain where the ledger has a value for it. After a difference, only what was proved before counts.
    fn prove(&mut self) -> Result<(), Stop> {
        match self.ends.get(&self.seq) {
            None => Ok(()),
            Some(chain) if *chain == self.chain => {
                self.proved = self.steps.len();
                Ok(())
            }
            Some(_) => {
                self.steps.truncate(self.proved);
                Err(Fork::Chain.at(self.seq))
            }
        }
    }

    /// Does this sequence come next?
    fn follows(&self, seq: Seq) -> Result<(), Stop> {
        if self.seq.next() == Some(seq) || self.may_have_holes(seq) {
            return Ok(());
        }
        match self.seq.next() {
            Some(first) if self.jumps_over(seq.before()) => {
                debug_assert!(first < seq, "sequences come in order");
                Ok(())
            }
            Some(first) => Err(Stop::Hole { from: first, to: seq.before() }),
            None => Err(Stop::Hole { from: self.seq, to: seq }),
        }
    }

    /// The original's sequences have holes, also after its ledger became the beginning of one of ours.
    fn may_have_holes(&self, seq: Seq) -> bool {
        let parent = self.fetched.parent;
        self.fetched.history == History::Legacy
            || parent.is_some_and(|parent| parent.history == History::Legacy && seq <= parent.seq)
    }

    /// A new history begins above every sequence ever seen. From where the parent ended up to there is nothing.
    fn jumps_over(&self, to: Seq) -> bool {
        let parent = self.fetched.parent;
        parent.is_some_and(|Parent { seq, chain, .. }| {
            self.seq <= seq && seq <= to && chain == self.chain
        })
    }

    fn action(&mut self, entry: &Entry) -> Result<Action, Stop> {
        let poison = |why| Stop::Poison(Poison { seq: entry.seq, why });
        if !self.skips.is_empty()
            && let Some(reason) = self.skips.get(&entry.seq)
        {
            return Ok(Action::Skip((*reason).to_owned()));
        }
        match Statement::parse(&entry.statement) {
            Ok(Statement::Begin) if self.in_frame => {
                Err(poison("BEGIN within a transaction of the ledger".to_owned()))
            }
            Ok(Statement::Begin) => {
                self.in_frame = true;
                Ok(Action::Begin)
            }
            Ok(Statement::Commit) if !self.in_frame => Err(poison(
                "COMMIT without a BEGIN: was the BEGIN skipped? then skip this too".to_owned(),
            )),
            Ok(Statement::Commit) => {
                self.in_frame = false;
                Ok(Action::Commit)
            }
            Ok(statement) => Ok(Action::Run(statement)),
            Err(_) if self.fetched.min_compatible > KNOWN_VERSION => {
                let needs = self.fetched.min_compatible;
                Err(Stop::TooOld { seq: entry.seq, needs })
            }
            Err(error) => Err(poison(error.to_string())),
        }
    }

    fn drop_open_frame(&mut self) {
        if self.in_frame
            && let Some(begin) = self.steps.iter().rposition(|step| step.action == Action::Begin)
        {
            self.steps.truncate(begin);
        }
    }

    /// What comes after all entries were good.
    fn end(&mut self, entries: &[Entry]) -> Then {
        if self.seq < self.fetched.head && !self.at_tip() {
            // Sequences of a ledger of ours are dense, so nothing after something is a hole.
            let nothing = entries.is_empty() && self.fetched.history != History::Legacy;
            return match self.seq.next() {
                Some(from) if nothing && !self.jumps_over(self.fetched.head) => {
                    Then::Stop(Stop::Hole { from, to: self.fetched.head })
                }
                Some(_) | None if nothing => Then::Idle,
                Some(_) | None => Then::More,
            };
        }
        match self.fetched.tip {
            Some(_) if !self.at_tip() => {
                self.steps.truncate(self.proved);
                Then::Stop(Fork::Chain.at(self.seq))
            }
            Some(_) | None => ended(self.in_frame, self.seq),
        }
    }

    fn at_tip(&self) -> bool {
        self.fetched.tip.is_some_and(|tip| tip.chain == self.chain)
    }
}

#[cfg(test)]
mod tests;
