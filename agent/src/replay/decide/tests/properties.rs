//! What must hold for any ledger, cut anywhere, and whatever a source returns.

use ledger::{Digest, LdbTable};
use proptest::prelude::*;

use super::*;

/// Batches of sizes up to 6, framed when they have more than one.
fn batches() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..7_usize, 1..20)
}

fn ledger_of(batches: &[usize]) -> Fetched {
    let table = LdbTable::parse("fam___tbl").unwrap();
    let statements = |count| vec![Statement::ClearTable(table.clone()); count];
    let mut fetched = ledger(&[]);
    let mut chain = Chain::GENESIS;
    for count in batches {
        for statement in ledger::framed(statements(*count)) {
            let number = fetched.head.next().unwrap();
            let entry = Entry {
                seq: number,
                leader_ts: LeaderTs::from_micros(7),
                statement: statement.to_string(),
            };
            chain = chain.link(entry.digest());
            fetched.head = number;
            fetched.tip = Some(Tip { digest: entry.digest(), chain });
            fetched.entries.push(entry);
        }
        fetched.batches.push(BatchEnd { last_seq: fetched.head, chain });
    }
    fetched
}

proptest! {
    /// Fetched in pieces of any size, every entry is applied once, in order, and the end is where the ledger says.
    #[test]
    fn any_cut_of_a_good_ledger_is_applied_whole(batches in batches(), piece in 1..9_usize) {
        let all = ledger_of(&batches);
        let mut standing = Standing { position: None, in_frame: false };
        let mut applied = Vec::new();
        loop {
            let mut fetched = from(&all, standing);
            fetched.entries.truncate(piece + 1);
            let plan = decide(standing, &fetched);
            for step in &plan.steps {
                applied.push(step.position.seq);
                standing.position = Some(step.position);
                match step.action {
                    Action::Begin => standing.in_frame = true,
                    Action::Commit => standing.in_frame = false,
                    Action::Run(_) | Action::Skip(_) => {}
                }
            }
            match plan.then {
                Then::More => prop_assert!(!plan.steps.is_empty(), "no progress at {:?}", standing),
                Then::Idle => break,
                Then::Stop(stop) => prop_assert!(false, "{stop}"),
            }
        }
        let want: Vec<_> = all.entries.iter().map(|entry| entry.seq).collect();
        prop_assert_eq!(applied, want);
        let own = standing.position.unwrap();
        prop_assert_eq!(Some(Tip { digest: own.digest, chain: own.chain }), all.tip);
    }

    /// One bit of one entry changed, wherever: nothing at or after it that is proved wrong is applied.
    #[test]
    fn a_changed_entry_is_never_applied(batches in batches(), place in any::<prop::sample::Index>(), own in any::<prop::sample::Index>()) {
        let good = ledger_of(&batches);
        let mut bad = good.clone();
        let place = place.index(bad.entries.len());
        bad.entries[place].leader_ts = LeaderTs::from_micros(8);
        // A copy never stands within a frame.
        let ends = [Seq::ZERO].into_iter().chain(good.batches.iter().map(|end| end.last_seq));
        let ends: Vec<_> = ends.collect();
        let standing = at(&good, ends[own.index(ends.len())].get());
        let own = standing.position.map_or(Seq::ZERO, |own| own.seq);
        let plan = decide(standing, &from(&bad, standing));
        let changed = good.entries[place].seq;
        // One before our own is not looked at again, and changes nothing that we apply.
        if changed > own {
            prop_assert!(matches!(plan.then, Then::Stop(Stop::Forked { .. })), "{:?}", plan.then);
            prop_assert!(plan.steps.iter().all(|step| step.position.seq < changed));
        } else if changed == own && own < good.head {
            prop_assert!(matches!(plan.then, Then::Stop(Stop::Forked { .. })), "{:?}", plan.then);
        }
    }

    /// Whatever a source returns, there is an answer, and steps follow our position one by one.
    #[test]
    fn nothing_a_source_returns_breaks_it(
        texts in prop::collection::vec(prop_oneof![Just(DROP), Just("--- BEGIN"), Just("--- COMMIT"), Just("VACUUM")], 0..8),
        numbers in prop::collection::btree_set(1..12_u64, 0..8),
        (head, low_water, own) in (0..14_u64, 0..14_u64, 0..14_u64),
        in_frame in any::<bool>(),
    ) {
        let entries: Vec<_> = numbers.into_iter().zip(texts).collect();
        let mut fetched = ledger(&entries);
        (fetched.head, fetched.low_water) = (seq(head), seq(low_water));
        let digest = Digest::from_bytes([1; 32]);
        let position = Position { history: fetched.history, seq: seq(own), digest, chain: Chain::GENESIS };
        let standing = Standing { position: (own > 0).then_some(position), in_frame };
        let plan = decide(standing, &fetched);
        let have: Vec<_> = plan.steps.iter().map(|step| step.position.seq.get()).collect();
        let want: Vec<_> = (own + 1..).take(have.len()).collect();
        prop_assert_eq!(have, want);
    }
}
