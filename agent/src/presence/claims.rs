//! Who of those who want to build their file anew may. Pure.
//!
//! A claim is first announced, then built on. Announced claims have an order (time, then name), which keeps most from
//! trying in vain; but nodes' clocks differ, so the order alone would let too many through. What is certain is counting:
//! who builds has first written that he does and *then* read who else does. Of a set of builders that is too large, the
//! one whose write came last has read all the others, and steps back.

use std::collections::HashMap;
use std::time::Duration;

use crds::presence::RebuildClaim;
use tokio::time::Instant;

/// A node whose Lease stood still for so long has no claim any more: its agent is gone.
const SILENT: Duration = Duration::from_secs(300);

/// Another node's claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rival {
    pub(super) name: String,
    pub(super) claim: RebuildClaim,
}

/// So many nodes may build at the same time.
pub(super) fn places(percent: u8, nodes: u64) -> usize {
    let places = nodes.saturating_mul(percent.into()) / 100;
    usize::try_from(places.max(1)).unwrap_or(usize::MAX)
}

/// May I announce a claim? Those who would come too late do not.
pub(super) fn may_claim(rivals: &[Rival], places: usize) -> bool {
    rivals.len() < places
}

/// May I try to build on a claim that was announced?
pub(super) fn may_try(me: &str, mine: &RebuildClaim, rivals: &[Rival], places: usize) -> bool {
    let before = |rival: &&Rival| {
        rival.claim.building || (rival.claim.since, rival.name.as_str()) < (mine.since, me)
    };
    rivals.iter().filter(before).count() < places
}

/// May I build, after I have written that I do?
pub(super) fn may_build(rivals: &[Rival], places: usize) -> bool {
    rivals.iter().filter(|rival| rival.claim.building).count() < places
}

/// Knows since when claims stand unchanged, on the own clock.
#[derive(Debug, Default)]
pub(super) struct Silences<T>(HashMap<String, (T, Instant)>);

impl<T: PartialEq> Silences<T> {
    /// Of Leases with the time of their last renewal, the names of those whose agents live.
    pub(super) fn living(&mut self, seen: Vec<(String, T)>, now: Instant) -> Vec<String> {
        let mut before = std::mem::take(&mut self.0);
        let mut living = Vec::new();
        for (name, renewed) in seen {
            let since = match before.remove(&name) {
                Some((last, since)) if last == renewed => since,
                _ => now,
            };
            if now.saturating_duration_since(since) < SILENT {
                living.push(name.clone());
            }
            self.0.insert(name, (renewed, since));
        }
        living
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn rival(name: &str, since: i64, building: bool) -> Rival {
        let since = Timestamp::from_second(since).unwrap();
        Rival { name: name.to_owned(), claim: RebuildClaim { since, building } }
    }

    #[test]
    fn a_share_is_never_less_than_one_node() {
        for (percent, nodes, want) in [(10, 0, 1), (10, 1, 1), (10, 19, 1), (10, 20, 2)] {
            assert_eq!(places(percent, nodes), want, "{percent} % of {nodes}");
        }
        assert_eq!(places(100, 5000), 5000);
    }

    #[test]
    fn claims_are_served_in_order_and_those_who_build_come_first() {
        let mine = rival("b", 10, false).claim;
        let check = |rivals: &[Rival], places, want| {
            assert_eq!(may_try("b", &mine, rivals, places), want, "{rivals:?}");
        };
        check(&[], 1, true);
        check(&[rival("a", 11, false)], 1, true);
        check(&[rival("a", 9, false)], 1, false);
        check(&[rival("a", 10, false)], 1, false);
        check(&[rival("c", 10, false)], 1, true);
        check(&[rival("c", 99, true)], 1, false);
        check(&[rival("c", 99, true)], 2, true);
        assert!(!may_claim(&[rival("a", 11, false)], 1));
    }

    #[test]
    fn a_claim_dies_with_its_agent() {
        let (mut silences, start) = (Silences::default(), Instant::now());
        let mut living = |renewed: u8, at: u64| {
            let seen = vec![("a".to_owned(), renewed)];
            !silences.living(seen, start + Duration::from_secs(at)).is_empty()
        };
        assert!(living(1, 0));
        assert!(living(1, 299));
        assert!(!living(1, 300));
        assert!(living(2, 301), "it was renewed");
        assert!(!living(2, 601));
    }

    /// One step of one node; a node's steps come in order, those of different nodes in any.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Phase {
        Idle,
        /// Before it announces.
        Looked(bool),
        Claimed,
        Wrote,
        Builds,
    }

    proptest! {
        /// Whatever the clocks say and however steps mix, never too many build, and somebody always gets on.
        #[test]
        fn never_too_many_build(
            clocks in prop::collection::vec(0_i64..4, 2..9),
            percent in 1_u8..60,
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..400),
        ) {
            let places = places(percent, clocks.len() as u64);
            let mut phases = vec![Phase::Idle; clocks.len()];
            let name = |node: usize| format!("n{node}");
            for (index, finish) in steps {
                let me = index.index(clocks.len());
                let rivals: Vec<_> = (0..clocks.len()).filter(|node| *node != me).filter_map(|node| {
                    let building = matches!(phases[node], Phase::Wrote | Phase::Builds);
                    (building || phases[node] == Phase::Claimed)
                        .then(|| rival(&name(node), clocks[node], building))
                }).collect();
                let mine = rival(&name(me), clocks[me], false).claim;
                phases[me] = match phases[me] {
                    Phase::Idle => Phase::Looked(may_claim(&rivals, places)),
                    Phase::Looked(true) => Phase::Claimed,
                    Phase::Claimed if may_try(&name(me), &mine, &rivals, places) => Phase::Wrote,
                    Phase::Wrote if may_build(&rivals, places) => Phase::Builds,
                    Phase::Builds if finish > 0 => Phase::Builds,
                    _ => Phase::Idle,
                };
                let building = phases.iter().filter(|phase| **phase == Phase::Builds).count();
                prop_assert!(building <= places, "{building} of {places}");
            }
            // Alone, the others being done or given up, each gets its turn.
            prop_assert!(may_claim(&[], places) && may_build(&[], places));
        }
    }
}
