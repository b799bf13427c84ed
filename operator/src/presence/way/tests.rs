//! What a table's status says of its way: case by case, and what holds in all cases.

use crds::condition::merge;
use expect_test::{Expect, expect};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::presence::census::Standing;

const SHARE: Percent = Percent::DEFAULT;

fn census(nodes: &[(&str, Standing)]) -> Census {
    Census::of(nodes.iter().copied())
}

/// Nodes at these positions, named after their place in the list.
fn at(positions: &[i64]) -> Census {
    let names: Vec<_> = (0..positions.len()).map(|node| format!("n{node}")).collect();
    let nodes = names.iter().zip(positions).map(|(name, seq)| (name.as_str(), Standing::At(*seq)));
    Census::of(nodes)
}

/// The status that follows, as the operator writes it.
fn after(before: &CtlTableStatus, seq: Option<i64>, census: Option<&Census>) -> CtlTableStatus {
    let Way { condition, propagation } = way(before, seq, census, SHARE);
    let now = Time(jiff::Timestamp::UNIX_EPOCH);
    CtlTableStatus {
        observed_generation: Some(1),
        conditions: merge(&before.conditions, &[condition], Some(1), &now),
        schema_seq: seq.or(before.schema_seq),
        propagation,
        ..CtlTableStatus::default()
    }
}

fn shown(status: &CtlTableStatus) -> String {
    let said = find(&status.conditions, ConditionType::Propagated).unwrap();
    let numbers = status.propagation.as_ref().map(|propagation| {
        let Propagation { ready, desired, min_seq, reached_seq } = propagation;
        format!(" {ready}/{desired} least {min_seq:?} reached {reached_seq:?}")
    });
    format!("{}/{}{}: {}", said.status, said.reason, numbers.unwrap_or_default(), said.message)
}

#[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
fn check(status: &CtlTableStatus, want: Expect) {
    want.assert_eq(&shown(status));
}

#[test]
fn a_table_goes_its_way_to_the_nodes() {
    use Standing::{At, Empty, Forked, Silent};
    let fresh = CtlTableStatus::default();
    check(
        &after(&fresh, None, None),
        expect!["Unknown/Pending: the declaration is not in the ledger yet"],
    );
    let waiting = after(&fresh, Some(10), None);
    check(&waiting, expect!["Unknown/NoReports: no ready agent is known"]);
    assert_eq!(after(&waiting, Some(10), Some(&at(&[]))), waiting, "nobody there yet is no news");
    let some = [("a", At(12)), ("b", At(9)), ("c", Silent), ("d", Forked), ("e", Empty)];
    let behind = after(&waiting, Some(10), Some(&census(&some)));
    check(
        &behind,
        expect![
            "False/NodesBehind 1/5 least Some(9) reached None: 1 of 5 nodes have it, not yet: c (no report), d (forked), e (empty) and b"
        ],
    );
    // Another leader, who has not counted yet, says the same.
    assert_eq!(after(&behind, Some(10), None), behind);
    let there = after(&behind, Some(10), Some(&at(&[10, 11, 99])));
    check(
        &there,
        expect![
            "True/AllNodes 3/3 least Some(10) reached Some(10): 3 of 3 nodes had it when it had come to enough of them"
        ],
    );
    // It grows.
    check(
        &after(&there, Some(12), Some(&at(&[10, 12, 99]))),
        expect![
            "False/NodesBehind 2/3 least Some(10) reached Some(10): 2 of 3 nodes have it, not yet: n0"
        ],
    );
}

#[test]
fn some_laggards_are_named_and_the_others_counted() {
    let many: Vec<_> = (0..300).collect();
    let status = after(&CtlTableStatus::default(), Some(200), Some(&at(&many)));
    let message = &find(&status.conditions, ConditionType::Propagated).unwrap().message;
    assert_eq!(message, "100 of 300 nodes have it, not yet: n0, n1, n2, n3, n4 and 195 more");
}

#[test]
fn nearly_all_nodes_are_enough() {
    let mut positions = vec![10; 99];
    positions.push(3);
    let status = after(&CtlTableStatus::default(), Some(10), Some(&at(&positions)));
    check(
        &status,
        expect![
            "True/AllNodes 99/100 least Some(3) reached Some(10): 99 of 100 nodes had it when it had come to enough of them"
        ],
    );
    positions.pop();
    positions.extend([3, 3]);
    let status = after(&CtlTableStatus::default(), Some(10), Some(&at(&positions)));
    assert!(shown(&status).starts_with("False/NodesBehind 99/101"), "{}", shown(&status));
}

#[test]
fn nothing_is_known_of_a_declaration_that_is_not_in_the_ledger() {
    let there = after(&CtlTableStatus::default(), Some(10), Some(&at(&[10])));
    assert_eq!(known_seq(&there, Some(1)), Some(10), "of the same declaration it is known");
    assert_eq!(known_seq(&there, Some(2)), None, "of a new one it is not");
    // A new declaration, and the database is away.
    let mut changed = after(&there, None, Some(&at(&[10])));
    changed.observed_generation = Some(2);
    check(
        &changed,
        expect![
            "Unknown/Pending 1/1 least Some(10) reached Some(10): the declaration is not in the ledger yet"
        ],
    );
    assert_eq!(known_seq(&changed, Some(2)), None, "nor at the next look");
    // It turns out to need no new entry.
    assert!(shown(&after(&changed, Some(10), Some(&at(&[1])))).starts_with("True/AllNodes"));
}

fn standings() -> impl Strategy<Value = Vec<Standing>> {
    let standing = prop_oneof![
        5 => (0_i64..30).prop_map(Standing::At),
        1 => Just(Standing::Empty),
        1 => Just(Standing::Forked),
        1 => Just(Standing::Silent),
    ];
    prop::collection::vec(standing, 0..40)
}

fn counted(standings: &[Standing]) -> Census {
    let names: Vec<_> = (0..standings.len()).map(|node| format!("n{node:02}")).collect();
    Census::of(names.iter().map(String::as_str).zip(standings.iter().copied()))
}

proptest! {
    #[test]
    fn once_there_it_is_there_for_good(seq in 0_i64..30, all in prop::collection::vec(standings(), 1..8)) {
        let mut status = CtlTableStatus::default();
        let mut there = false;
        for standings in all {
            let next = after(&status, Some(seq), Some(&counted(&standings)));
            let now = shown(&next).starts_with("True/");
            prop_assert!(now || !there, "{}", shown(&next));
            prop_assert!(!there || next == status, "nothing is written any more");
            (status, there) = (next, now);
        }
    }

    #[test]
    fn what_is_said_is_what_a_plain_count_says(seq in 0_i64..30, standings in standings()) {
        let has = |standing: &&Standing| matches!(standing, Standing::At(at) if *at >= seq);
        let ready = standings.iter().filter(has).count();
        let status = after(&CtlTableStatus::default(), Some(seq), Some(&counted(&standings)));
        if standings.is_empty() {
            prop_assert!(status.propagation.is_none());
            return Ok(());
        }
        let numbers = status.propagation.clone().unwrap();
        prop_assert_eq!(numbers.ready, i64::try_from(ready).unwrap());
        prop_assert_eq!(numbers.desired, i64::try_from(standings.len()).unwrap());
        prop_assert!(numbers.min_seq.is_none_or(|least| least <= seq));
        let enough = ready * 100 >= standings.len() * 99;
        prop_assert_eq!(shown(&status).starts_with("True/"), enough, "{}", shown(&status));
    }

    #[test]
    fn rows_that_are_written_change_nothing(seq in 0_i64..30, standings in standings(), rows in 0_i64..1000) {
        let before = after(&CtlTableStatus::default(), Some(seq), Some(&counted(&standings)));
        // Those that have the table get further, those that have not stay.
        let moved = standings.iter().map(|standing| match standing {
            Standing::At(at) if *at >= seq => Standing::At(at + rows),
            other => *other,
        });
        let moved: Vec<_> = moved.collect();
        prop_assert_eq!(after(&before, Some(seq), Some(&counted(&moved))), before);
    }
}
