//! How far the ledger may be pruned. Pure: what is known comes in as values, and every limit comes out with its reason, for
//! whoever wonders why entries are still there.

use ledger::{Mark, Seq};

use crate::Meta;

/// What is known of those who may still need the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The last entry up to which all are older than they must be kept: [`CtlDb::written_before`](crate::CtlDb::written_before).
    pub old_through: Seq,
    /// The last entries of the verified snapshots of this ledger, in any order. None: said not to matter.
    pub snapshots: Option<Vec<Seq>>,
    /// Where the nodes stand that reported within a day. None: said not to matter.
    pub nodes: Option<Vec<Mark>>,
}

/// What keeps entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// They are young.
    Age,
    /// A node that begins from a snapshot needs them.
    Snapshots,
    /// A node needs them.
    Nodes,
    /// The last entry stays in any case.
    Head,
}

/// How far one limit lets pruning go, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// What keeps what follows.
    pub limit: Limit,
    /// Entries up to here may go.
    pub through: Seq,
    /// In words.
    pub because: String,
}

/// How far pruning may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Entries up to here may go; not above the low water: nothing may.
    pub through: Seq,
    /// All limits, the one that decides first.
    pub bounds: Vec<Bound>,
}

impl Limit {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Age => "age",
            Limit::Snapshots => "snapshots",
            Limit::Nodes => "nodes",
            Limit::Head => "head",
        }
    }
}

/// Up to which entry the ledger may be pruned. A node that stands in another history than this one and its parent begins
/// from a snapshot anyway, and keeps nothing.
#[must_use]
pub fn prunable_through(meta: &Meta, known: &Known) -> Verdict {
    let Known { old_through, snapshots, nodes } = known;
    let head = Bound {
        limit: Limit::Head,
        through: meta.last_seq().before(),
        because: "the last entry always stays".to_owned(),
    };
    let age = Bound {
        limit: Limit::Age,
        through: *old_through,
        because: match *old_through >= meta.last_seq() {
            true => "all entries are old enough to go".to_owned(),
            false => format!("entries after {old_through} are too young to go"),
        },
    };
    let snapshots = snapshots.as_ref().map(|snapshots| by_snapshots(snapshots));
    let nodes = nodes.as_ref().and_then(|nodes| by_nodes(meta, nodes));
    let mut bounds: Vec<_> =
        [snapshots, nodes, Some(age), Some(head)].into_iter().flatten().collect();
    // Stable: of two that say the same, the one that is harder to change comes first.
    bounds.sort_by_key(|bound| bound.through);
    let through = bounds.first().map_or(Seq::ZERO, |bound| bound.through);
    Verdict { through, bounds }
}

/// The second newest: when the newest turns out to be bad, nodes begin from that one.
fn by_snapshots(snapshots: &[Seq]) -> Bound {
    let mut newest_first = snapshots.to_vec();
    newest_first.sort_unstable_by_key(|seq| std::cmp::Reverse(*seq));
    let (through, because) = match newest_first.as_slice() {
        [] => (Seq::ZERO, "there is no verified snapshot of this history, and two are needed: nodes that begin anew have only the ledger".to_owned()),
        [only] => (Seq::ZERO, format!("there is only one verified snapshot of this history, at {only}, and two are needed: were it bad, nodes that begin anew had only the ledger")),
        [_, second, ..] => (*second, format!("the second newest verified snapshot ends at {second}, and a node that begins from it needs what follows")),
    };
    Bound { limit: Limit::Snapshots, through, because }
}

/// None: no node that reported needs the ledger.
fn by_nodes(meta: &Meta, nodes: &[Mark]) -> Option<Bound> {
    let follows = |node: &&Mark| {
        let of_parent = meta
            .parent
            .is_some_and(|parent| node.history == parent.history && node.seq <= parent.seq);
        node.history == meta.history || of_parent
    };
    let slowest = nodes.iter().filter(follows).map(|node| node.seq).min()?;
    Some(Bound {
        limit: Limit::Nodes,
        through: slowest,
        because: format!("the slowest node that reported within a day is at {slowest}"),
    })
}

#[cfg(test)]
mod tests {
    use ledger::{Chain, Digest, History, Position};
    use uuid::Uuid;

    use super::*;
    use crate::{Epoch, Parent};

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn history(id: u128) -> History {
        History::Id(Uuid::from_u128(id))
    }

    /// History 2, which continues history 1 after 500, with the head 1000.
    fn meta() -> Meta {
        let (digest, chain) = (Digest::from_bytes([1; 32]), Chain::GENESIS);
        Meta {
            version: 1,
            min_compatible: 1,
            history: history(2),
            last: Some(Position { history: history(2), seq: seq(1000), digest, chain }),
            pruned_through: seq(100),
            epoch: Epoch::new(0),
            parent: Some(Parent { history: history(1), seq: seq(500), chain }),
        }
    }

    fn check(
        old: u64,
        snapshots: Option<&[u64]>,
        nodes: Option<&[(u128, u64)]>,
        want: (u64, &str, &str),
    ) {
        let node = |&(id, at): &(u128, u64)| Mark {
            history: history(id),
            seq: seq(at),
            digest: Digest::from_bytes([2; 32]),
        };
        let known = Known {
            old_through: seq(old),
            snapshots: snapshots.map(|all| all.iter().copied().map(seq).collect()),
            nodes: nodes.map(|all| all.iter().map(node).collect()),
        };
        let Verdict { through, bounds } = prunable_through(&meta(), &known);
        let first = bounds.first().unwrap();
        assert_eq!(
            (through.get(), first.limit.as_str()),
            (want.0, want.1),
            "{known:?}: {bounds:?}"
        );
        assert!(first.because.contains(want.2), "{known:?}: {bounds:?}");
        assert_eq!(first.through, through);
        assert!(bounds.iter().all(|bound| bound.through >= through));
    }

    #[test]
    fn the_ledger_is_kept_for_whoever_needs_it_longest() {
        let two: Option<&[u64]> = Some(&[700, 900]);
        // Snapshots: the second newest, in whatever order they come.
        check(
            950,
            two,
            Some(&[]),
            (700, "snapshots", "second newest verified snapshot ends at 700"),
        );
        check(950, Some(&[300, 900, 700]), Some(&[]), (700, "snapshots", "ends at 700"));
        check(
            950,
            Some(&[900]),
            Some(&[]),
            (0, "snapshots", "only one verified snapshot of this history, at 900"),
        );
        check(950, Some(&[]), Some(&[]), (0, "snapshots", "no verified snapshot"));
        check(950, None, Some(&[(2, 990)]), (950, "age", "after 950 are too young"));
        // Nodes: the slowest.
        check(
            950,
            two,
            Some(&[(2, 990), (2, 650), (2, 800)]),
            (650, "nodes", "within a day is at 650"),
        );
        check(950, two, Some(&[(2, 0)]), (0, "nodes", "is at 0"));
        check(950, None, None, (950, "age", "after 950"));
        // Of the parent, those that may follow on count; others begin anew, whatever their number.
        check(950, two, Some(&[(1, 400)]), (400, "nodes", "is at 400"));
        check(950, two, Some(&[(1, 501)]), (700, "snapshots", "700"));
        check(950, two, Some(&[(3, 7)]), (700, "snapshots", "700"));
        // Age, and the last entry.
        check(600, two, Some(&[(2, 990)]), (600, "age", "after 600 are too young"));
        check(100, two, Some(&[(2, 990)]), (100, "age", "after 100 are too young"));
        check(1000, None, None, (999, "head", "the last entry always stays"));
        check(1000, Some(&[1000, 1000]), Some(&[(2, 1000)]), (999, "head", "always stays"));
    }

    #[test]
    fn of_equal_limits_the_one_that_is_harder_to_change_is_named() {
        check(700, Some(&[700, 900]), Some(&[(2, 700)]), (700, "snapshots", "700"));
        check(700, None, Some(&[(2, 700)]), (700, "nodes", "700"));
    }
}
