//! The rules, one line a case.

mod properties;
mod reach;

use expect_test::{Expect, expect};
use ledger::LeaderTs;

use super::*;
use crate::source::{BatchEnd, Skip, Tip};

const OURS: &str = "0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11";
const OTHER: &str = "7c1f3c55-0000-4000-8000-00000000beef";

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

fn history(text: &str) -> History {
    text.parse().unwrap()
}

/// A ledger: numbers and texts, each its own batch.
fn ledger(entries: &[(u64, &str)]) -> Fetched {
    let entry = |&(number, text): &(u64, &str)| Entry {
        seq: seq(number),
        leader_ts: LeaderTs::from_micros(1),
        statement: text.to_owned(),
    };
    let mut fetched = Fetched {
        history: history(OURS),
        parent: None,
        head: Seq::ZERO,
        tip: None,
        low_water: Seq::ZERO,
        min_compatible: 1,
        entries: entries.iter().map(entry).collect(),
        batches: Vec::new(),
        skips: Vec::new(),
        hold: None,
    };
    seal(&mut fetched, Chain::GENESIS);
    fetched
}

/// Makes head, tip and batch ends fit the entries, which follow this chain.
fn seal(fetched: &mut Fetched, mut chain: Chain) {
    fetched.batches.clear();
    for entry in &fetched.entries {
        chain = chain.link(entry.digest());
        fetched.batches.push(BatchEnd { last_seq: entry.seq, chain });
        fetched.head = entry.seq;
        fetched.tip = Some(Tip { digest: entry.digest(), chain });
    }
}

/// Where a copy stands that applied the ledger up to here.
fn at(fetched: &Fetched, number: u64) -> Standing {
    let mut chain = Chain::GENESIS;
    let mut position = None;
    for entry in fetched.entries.iter().take_while(|entry| entry.seq.get() <= number) {
        let digest = entry.digest();
        chain = chain.link(digest);
        position = Some(Position { history: fetched.history, seq: entry.seq, digest, chain });
    }
    Standing { position, in_frame: false }
}

/// The answer of a source that was asked from here on.
fn from(fetched: &Fetched, standing: Standing) -> Fetched {
    let mut fetched = fetched.clone();
    let own = standing.position.map_or(Seq::ZERO, |own| own.seq);
    if fetched.ends_at(standing.position) {
        fetched.entries.clear();
    }
    fetched.entries.retain(|entry| entry.seq >= own);
    fetched.batches.retain(|end| end.last_seq >= own);
    fetched
}

const DROP: &str = "DROP TABLE IF EXISTS fam___tbl";

fn five() -> Fetched {
    ledger(&[(1, DROP), (2, DROP), (3, DROP), (4, DROP), (5, DROP)])
}

#[expect(clippy::needless_pass_by_value, reason = "expect! makes one for each call")]
fn check(standing: Standing, fetched: &Fetched, want: Expect) {
    let plan = decide(standing, fetched);
    let steps: Vec<_> = plan.steps.iter().map(|step| step.position.seq.get()).collect();
    let then = match plan.then {
        Then::Stop(stop) => format!("{:?}: {stop}", crate::status::State::from(&stop)),
        Then::More | Then::Idle => format!("{:?}", plan.then),
    };
    want.assert_eq(&format!("{steps:?} {then}"));
}

#[test]
fn entries_that_follow_are_applied() {
    let all = five();
    check(at(&all, 0), &all, expect!["[1, 2, 3, 4, 5] Idle"]);
    check(at(&all, 3), &from(&all, at(&all, 3)), expect!["[4, 5] Idle"]);
    check(at(&all, 5), &from(&all, at(&all, 5)), expect!["[] Idle"]);
    let mut cut = from(&all, at(&all, 1));
    cut.entries.truncate(3);
    check(at(&all, 1), &cut, expect!["[2, 3] More"]);
    check(at(&ledger(&[]), 0), &ledger(&[]), expect!["[] Idle"]);
    let last = decide(at(&all, 0), &all).steps.pop().unwrap().position;
    assert_eq!(Some(last), at(&all, 5).position);
}

#[test]
fn a_ledger_that_ends_before_us_is_waited_for() {
    let all = five();
    check(
        at(&all, 5),
        &from(&ledger(&[(1, DROP), (2, DROP)]), at(&all, 5)),
        expect![
            "[] Behind: ctldb ends at 2, before 5, which is applied here: is it a replica that lags? After a restore run `ctlstore ctldb new-history`"
        ],
    );
    check(
        at(&all, 5),
        &ledger(&[]),
        expect![
            "[] Behind: ctldb ends at 0, before 5, which is applied here: is it a replica that lags? After a restore run `ctlstore ctldb new-history`"
        ],
    );
}

#[test]
fn another_entry_at_our_place_is_a_fork() {
    let mut other = five();
    other.entries[2].statement.push('x');
    seal(&mut other, Chain::GENESIS);
    let all = five();
    check(
        at(&all, 3),
        &from(&other, at(&all, 3)),
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 3: it has another entry there. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
    // The same entry at our place, another one before it: the chain tells, at our place already.
    check(
        at(&all, 4),
        &from(&other, at(&all, 4)),
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 4: its chain of digests is another. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
    check(
        at(&all, 5),
        &from(&other, at(&all, 5)),
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 5: its chain of digests is another. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
    // And without a batch end at our place, at the next one: what was not proved is not applied.
    let mut silent = from(&other, at(&all, 4));
    silent.batches.retain(|end| end.last_seq > seq(4));
    check(
        at(&all, 4),
        &silent,
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 5: its chain of digests is another. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
    silent.batches.clear();
    check(
        at(&all, 4),
        &silent,
        expect![
            "[] Forked: ctldb is not the ledger that was applied here up to 5: its chain of digests is another. Nothing is applied until a snapshot of this ledger is loaded; if it is the wrong ctldb, point the agent at the right one"
        ],
    );
}

#[test]
fn poison_stops_before_the_entry_and_a_skip_passes_it() {
    let mut all = ledger(&[(1, DROP), (2, "VACUUM"), (3, DROP)]);
    check(
        at(&all, 0),
        &all,
        expect![
            "[1] Poisoned: entry 2 cannot be applied: not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found \"VACUUM\". To go on without it, run `ctlstore ledger skip 2 --reason TEXT`"
        ],
    );
    all.min_compatible = 3;
    check(
        at(&all, 0),
        &all,
        expect![
            "[1] TooOld: entry 2 is in a form that this agent does not know: upgrade the agent to >= 0.3"
        ],
    );
    all.skips.push(Skip { seq: seq(2), reason: "by hand".to_owned() });
    check(at(&all, 0), &all, expect!["[1, 2, 3] Idle"]);
    assert_eq!(decide(at(&all, 0), &all).steps[1].action, Action::Skip("by hand".to_owned()));
}

#[test]
fn frames_open_and_close() {
    let (begin, commit) = (Statement::BEGIN, Statement::COMMIT);
    let all = ledger(&[(1, begin), (2, DROP), (3, commit), (4, commit)]);
    check(
        at(&all, 0),
        &all,
        expect![
            "[1, 2, 3] Poisoned: entry 4 cannot be applied: COMMIT without a BEGIN: was the BEGIN skipped? then skip this too. To go on without it, run `ctlstore ledger skip 4 --reason TEXT`"
        ],
    );
    let all = ledger(&[(1, begin), (2, begin)]);
    check(
        at(&all, 0),
        &all,
        expect![
            "[1] Poisoned: entry 2 cannot be applied: BEGIN within a transaction of the ledger. To go on without it, run `ctlstore ledger skip 2 --reason TEXT`"
        ],
    );
    let all = ledger(&[(1, begin), (2, DROP)]);
    check(
        at(&all, 0),
        &all,
        expect![
            "[1, 2] Poisoned: entry 2 cannot be applied: the ledger ends before the COMMIT of this transaction. To go on without it, run `ctlstore ledger skip 2 --reason TEXT`"
        ],
    );
    let open = Standing { in_frame: true, ..at(&all, 2) };
    check(
        open,
        &from(&all, open),
        expect![
            "[] Poisoned: entry 2 cannot be applied: the ledger ends before the COMMIT of this transaction. To go on without it, run `ctlstore ledger skip 2 --reason TEXT`"
        ],
    );
    let whole = ledger(&[(1, begin), (2, DROP), (3, commit)]);
    check(open, &from(&whole, open), expect!["[3] Idle"]);
}

#[test]
fn a_hold_is_not_passed_and_cuts_no_frame() {
    let mut all =
        ledger(&[(1, DROP), (2, Statement::BEGIN), (3, DROP), (4, Statement::COMMIT), (5, DROP)]);
    all.hold = Some(seq(3));
    check(at(&all, 0), &all, expect!["[1] Held: held at 3, as the source asks"]);
    all.hold = Some(seq(4));
    check(at(&all, 0), &all, expect!["[1, 2, 3, 4] Held: held at 4, as the source asks"]);
    all.hold = Some(seq(5));
    check(at(&all, 0), &all, expect!["[1, 2, 3, 4, 5] Idle"]);
}
