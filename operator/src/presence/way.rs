//! How far a table has come on its way to the nodes, as its status says it. Pure.
//!
//! What is said may only depend on how far nodes are behind the table's own entry, and no more is said once enough nodes
//! have it: rows are written all the time and nodes come and go, and no status is to change for that.

use crds::condition::{ConditionType, Reason, State, Wanted, find};
use crds::{CtlTableStatus, Propagation};

use crate::args::Percent;
use crate::presence::census::Census;

/// Said before there is a census as well, so that the first one changes nothing.
const NOBODY: &str = "no ready agent is known";

/// What a status says of a table's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) condition: Wanted,
    pub(crate) propagation: Option<Propagation>,
}

/// The entry that made the table what its present declaration says; none while that is not in the ledger, as far as this
/// status tells.
pub(crate) fn known_seq(status: &CtlTableStatus, generation: Option<i64>) -> Option<i64> {
    let said = find(&status.conditions, ConditionType::Propagated)?;
    let current = status.observed_generation == generation;
    (current && said.reason != Reason::Pending.to_string()).then_some(status.schema_seq).flatten()
}

/// What follows on `before` for a table that is what it is since the entry `seq`.
pub(crate) fn way(
    before: &CtlTableStatus,
    seq: Option<i64>,
    census: Option<&Census>,
    share: Percent,
) -> Way {
    let Some(seq) = seq else {
        return unknown(before, Reason::Pending, "the declaration is not in the ledger yet");
    };
    if let Some(reached) = reached_before(before, seq) {
        return arrived(reached);
    }
    let Some(census) = census else { return said_before(before) };
    if census.nodes() == 0 {
        return unknown(before, Reason::NoReports, NOBODY);
    }
    let ready = census.reached(seq);
    let enough = ready >= share.of(census.nodes());
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let propagation = Propagation {
        ready: number(ready),
        desired: number(census.nodes()),
        min_seq: census.least().map(|least| least.min(seq)),
        reached_seq: if enough { Some(seq) } else { last_reached(before) },
    };
    if enough {
        return arrived(propagation);
    }
    let Propagation { ready, desired, .. } = propagation;
    let laggards = census.laggards(seq);
    let message = format!("{ready} of {desired} nodes have it, not yet: {laggards}");
    Way {
        condition: propagated(State::False, Reason::NodesBehind, message),
        propagation: Some(propagation),
    }
}

fn propagated(state: State, reason: Reason, message: String) -> Wanted {
    Wanted::new(ConditionType::Propagated, state, reason, message)
}

fn arrived(propagation: Propagation) -> Way {
    let Propagation { ready, desired, min_seq: _, reached_seq: _ } = propagation;
    let message = format!("{ready} of {desired} nodes had it when it had come to enough of them");
    Way {
        condition: propagated(State::True, Reason::AllNodes, message),
        propagation: Some(propagation),
    }
}

fn unknown(before: &CtlTableStatus, reason: Reason, message: &str) -> Way {
    Way {
        condition: propagated(State::Unknown, reason, message.to_owned()),
        propagation: before.propagation.clone(),
    }
}

/// An operator that has just begun to lead repeats what the last one said.
fn said_before(before: &CtlTableStatus) -> Way {
    let said = find(&before.conditions, ConditionType::Propagated);
    match said.filter(|said| said.reason == Reason::NodesBehind.to_string()) {
        Some(said) => Way {
            condition: propagated(State::False, Reason::NodesBehind, said.message.clone()),
            propagation: before.propagation.clone(),
        },
        None => unknown(before, Reason::NoReports, NOBODY),
    }
}

fn last_reached(before: &CtlTableStatus) -> Option<i64> {
    before.propagation.as_ref().and_then(|propagation| propagation.reached_seq)
}

fn reached_before(before: &CtlTableStatus, seq: i64) -> Option<Propagation> {
    before.propagation.clone().filter(|propagation| propagation.reached_seq == Some(seq))
}

#[cfg(test)]
mod tests;
