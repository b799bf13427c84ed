//! Which ledger it is, and how far it reaches.

use super::*;

#[test]
fn histories_are_followed_from_their_parent_only() {
    let all = five();
    let mut new = all.clone();
    new.history = history(OTHER);
    new.head = seq(100);
    let chain = at(&all, 5).position.unwrap().chain;
    check(
        at(&all, 5),
        &new,
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 5: it is the history 7c1f3c55-0000-4000-8000-00000000beef, which does not continue 0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
    new.parent = Some(Parent { history: history(OURS), seq: seq(5), chain });
    check(at(&all, 5), &new, expect!["[] Idle"]);
    check(at(&all, 3), &from(&new, at(&all, 3)), expect!["[4, 5] Idle"]);
    // What was written before keeps its history.
    let steps = decide(at(&all, 3), &from(&new, at(&all, 3))).steps;
    assert!(steps.iter().all(|step| step.position.history == history(OURS)));

    let longer = ledger(&[(1, DROP), (2, DROP), (3, DROP), (4, DROP), (5, DROP), (6, DROP)]);
    check(
        at(&longer, 6),
        &from(&new, at(&longer, 6)),
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 6: it is the history 7c1f3c55-0000-4000-8000-00000000beef, which left 0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11 at 5. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
    let mut other = at(&all, 5);
    other.position = other.position.map(|own| Position { chain: Chain::GENESIS, ..own });
    check(
        other,
        &new,
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 5: it is the history 7c1f3c55-0000-4000-8000-00000000beef, which left 0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11 at 5. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );

    // Its first entry comes above every sequence ever seen; nothing else may be jumped over.
    let first =
        Entry { seq: seq(101), leader_ts: LeaderTs::from_micros(1), statement: DROP.to_owned() };
    new.entries.push(first);
    seal(&mut new, Chain::GENESIS);
    check(at(&all, 5), &from(&new, at(&all, 5)), expect!["[101] Idle"]);
    let steps = decide(at(&all, 5), &from(&new, at(&all, 5))).steps;
    assert_eq!(steps[0].position.history, history(OTHER));
    check(at(&all, 3), &from(&new, at(&all, 3)), expect!["[4, 5, 101] Idle"]);
    new.entries.retain(|entry| entry.seq != seq(5));
    check(
        at(&all, 3),
        &from(&new, at(&all, 3)),
        expect![
            "[4] Hole: ctldb lacks the entries 5 to 100: they were lost or deleted by hand, restore them"
        ],
    );
}

#[test]
fn what_was_pruned_must_be_applied_here() {
    let all = five();
    let mut pruned = all.clone();
    pruned.low_water = seq(3);
    pruned.entries.retain(|entry| entry.seq > seq(3));
    check(
        at(&all, 2),
        &from(&pruned, at(&all, 2)),
        expect![
            "[] Pruned: ctldb has no entries up to 3 any more, and 2 is applied here: only a snapshot that is newer helps"
        ],
    );
    check(
        at(&all, 0),
        &from(&pruned, at(&all, 0)),
        expect![
            "[] Pruned: ctldb has no entries up to 3 any more, and 0 is applied here: only a snapshot that is newer helps"
        ],
    );
    check(at(&all, 3), &from(&pruned, at(&all, 3)), expect!["[4, 5] Idle"]);
    check(at(&all, 4), &from(&pruned, at(&all, 4)), expect!["[5] Idle"]);
}

#[test]
fn holes_are_found_where_they_are() {
    let all = five();
    let mut hole = all.clone();
    hole.entries.retain(|entry| entry.seq != seq(3));
    check(
        at(&all, 0),
        &hole,
        expect![
            "[1, 2] Hole: ctldb lacks the entries 3 to 3: they were lost or deleted by hand, restore them"
        ],
    );
    check(
        at(&all, 3),
        &from(&hole, at(&all, 3)),
        expect![
            "[] Hole: ctldb lacks the entries 3 to 3: they were lost or deleted by hand, restore them"
        ],
    );
    let mut tail = all.clone();
    tail.entries.truncate(2);
    check(
        at(&all, 2),
        &from(&tail, at(&all, 2)),
        expect![
            "[] Hole: ctldb lacks the entries 3 to 5: they were lost or deleted by hand, restore them"
        ],
    );
    let mut empty = all.clone();
    empty.entries.clear();
    check(
        at(&all, 0),
        &empty,
        expect![
            "[] Hole: ctldb lacks the entries 1 to 5: they were lost or deleted by hand, restore them"
        ],
    );
}

#[test]
fn a_ledger_of_the_original_may_have_holes() {
    let mut old = ledger(&[(1, DROP), (4, DROP), (9, DROP)]);
    (old.history, old.tip, old.min_compatible) = (History::Legacy, None, 0);
    old.batches.clear();
    check(at(&old, 0), &old, expect!["[1, 4, 9] Idle"]);
    check(at(&old, 4), &from(&old, at(&old, 4)), expect!["[9] Idle"]);
    check(at(&old, 9), &from(&old, at(&old, 9)), expect!["[] Idle"]);
    let mut gone = old.clone();
    gone.entries.remove(1);
    check(
        at(&old, 4),
        &from(&gone, at(&old, 4)),
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 4: it has no entry there, though it has later ones. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
    // Once it is the beginning of one of ours, in its part only.
    let own = at(&old, 9);
    let parent =
        Parent { history: History::Legacy, seq: seq(9), chain: own.position.unwrap().chain };
    let mut adopted = ledger(&[(1, DROP), (4, DROP), (9, DROP), (10, DROP), (12, DROP)]);
    adopted.parent = Some(parent);
    check(
        at(&old, 4),
        &from(&adopted, at(&old, 4)),
        expect![
            "[9, 10] Hole: ctldb lacks the entries 11 to 11: they were lost or deleted by hand, restore them"
        ],
    );
}
