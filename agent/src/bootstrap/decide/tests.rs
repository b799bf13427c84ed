use ledger::Chain;

use super::*;

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

fn history(letter: &str) -> History {
    match letter {
        "L" => History::Legacy,
        letter => format!("00000000-0000-0000-0000-00000000000{letter}").parse().unwrap(),
    }
}

/// `b7`: entry 7 of history b. `b7!`: another entry of that number.
fn position(text: &str) -> Position {
    let (letter, rest) = text.split_at(1);
    let byte = if rest.ends_with('!') { 9 } else { 1 };
    let number = rest.trim_end_matches('!').parse().unwrap();
    let digest = Digest::from_bytes([byte; 32]);
    Position { history: history(letter), seq: seq(number), digest, chain: Chain::GENESIS }
}

/// `b 5..9`: history b, low water 5, head 9. `b<a7 5..9`: it continues a, which ended at 7. Numbers after it are holes.
fn ledger(text: &str) -> Option<Ledger> {
    let mut words = text.split(' ');
    let (name, range) = (words.next()?, words.next()?);
    let (own, parent) =
        name.split_once('<').map_or((name, None), |(own, parent)| (own, Some(parent)));
    let parent = parent.map(position).map(|parent| (parent.history, parent.seq));
    let (low, head) = range.split_once("..").unwrap();
    let (low, head): (u64, u64) = (low.parse().unwrap(), head.parse().unwrap());
    let holes: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
    // The entry at the low water is gone, as are those below.
    let there = (low + 1..=head).filter(|number| !holes.contains(number));
    let entries = there.map(|number| (seq(number), Digest::from_bytes([1; 32]))).collect();
    Some(Ledger { history: history(own), parent, head: seq(head), low_water: seq(low), entries })
}

fn snapshots(text: &str) -> Snapshots {
    match text {
        "none" => Snapshots::NotConfigured,
        "down" => Snapshots::Unreachable,
        text => Snapshots::Known(text.split_whitespace().map(position).collect()),
    }
}

fn show(start: &Start) -> String {
    match start {
        Start::Keep => "keep".to_owned(),
        Start::Empty => "empty".to_owned(),
        Start::Download(all) => {
            let all = all.iter().map(|position| position.seq.to_string());
            format!("download {}", all.collect::<Vec<_>>().join(" "))
        }
        Start::Wait(Why::NothingReachable) => "wait: nothing reachable".to_owned(),
        Start::Wait(Why::StoreUnreachable) => "wait: store".to_owned(),
        Start::Wait(Why::Gap { low_water }) => format!("wait: gap {low_water}"),
        Start::Wait(Why::Forked) => "wait: forked".to_owned(),
        Start::Wait(Why::Stuck { seq }) => format!("wait: stuck {seq}"),
    }
}

#[test]
fn the_table() {
    // The LDB here; the ledger; the snapshots; what to do.
    for row in [
        // A fresh node.
        "empty   | b 0..9       |          | empty",
        "empty   | b 0..9       | none     | empty",
        "empty   | b 0..0       | none     | empty",
        "empty   | b 0..9       | down     | wait: store",
        "empty   | b 0..9       | b5 b7    | download 7 5",
        "empty   | b 5..9       | b4       | wait: gap 5",
        "empty   | b 5..9       | none     | wait: gap 5",
        "empty   | b 5..9       | down     | wait: store",
        "empty   | b 5..9       | b4 b5 b9 | download 9 5",
        "empty   | L 0..9       | none     | empty",
        "empty   | L 5..9       | L7       | download 7",
        // Never one that is ahead, of a dead tail, or of another history.
        "empty   | b 5..9       | b12      | wait: gap 5",
        "empty   | b 5..9       | b7!      | wait: gap 5",
        "empty   | b 0..9       | b7!      | empty",
        "empty   | b 0..9 7     | b7       | empty",
        "empty   | b 5..9       | a7       | wait: gap 5",
        "empty   | b 0..9       | b7! b6   | download 6",
        "empty   | b<a7 5..9    | a7       | download 7",
        "empty   | b<a7 5..9    | a8 a6    | download 6",
        "empty   | b<a7 5..9    | a7!      | wait: gap 5",
        // Nobody to ask.
        "empty   |              | b7 b9    | download 9 7",
        "empty   |              |          | wait: nothing reachable",
        "empty   |              | none     | wait: nothing reachable",
        "empty   |              | down     | wait: nothing reachable",
        // A file that cannot be used is as good as none.
        "unsound | b 0..9       | none     | empty",
        "unsound | b 5..9       | b6       | download 6",
        "unsound |              | b6       | download 6",
        "unsound |              | down     | wait: nothing reachable",
        // A node that was here before.
        "b7      | b 0..9       | none     | keep",
        "b7      | b 5..9       | b9       | keep",
        "b7      |              | b9       | keep",
        "b7      | b 7..9       | b9       | keep",
        "L7      | L 0..9       | none     | keep",
        // The source is behind: never wipe.
        "b12     | b 5..9       | b9       | keep",
        // Pruned below it.
        "b4      | b 5..9       | b5       | download 5",
        "b4      | b 5..9       | b4       | wait: gap 5",
        "b4      | b 5..9       | none     | wait: gap 5",
        "b4      | b 5..9       | down     | wait: store",
        // Forked: only a snapshot of this ledger, even if that is older.
        "b7!     | b 0..9       | b6       | download 6",
        "b7!     | b 0..9       | b7!      | wait: forked",
        "b7!     | b 0..9       | none     | wait: forked",
        "b7      | b 0..9 7     | none     | wait: forked",
        "a9      | b<a7 0..9    | a9 a7    | download 7",
        "a7      | b<a7 0..9    | none     | keep",
        "a6      | b<a7 0..9    | none     | keep",
        "a7      | b 0..9       | none     | wait: forked",
        "c7      | b<a7 0..9    | none     | wait: forked",
        "a4      | b<a7 5..9    | b9       | download 9",
    ] {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        let [own, known, stored, want] = columns.as_slice() else { panic!("{row}") };
        let own = match *own {
            "empty" => Own::Empty,
            "unsound" => Own::Unsound,
            text => Own::At(position(text)),
        };
        let seen =
            Seen { own, ledger: ledger(known), snapshots: snapshots(stored), stuck_at: None };
        assert_eq!(show(&decide(&seen)), *want, "{row}");
    }
}

#[test]
fn a_rebuild_goes_past_the_entry_that_stopped_us_or_is_not_started() {
    let check = |stored, want| {
        let seen = Seen {
            own: Own::At(position("b6")),
            ledger: ledger("b 0..9"),
            snapshots: snapshots(stored),
            stuck_at: Some(seq(7)),
        };
        assert_eq!(show(&decide(&seen)), want, "{stored}");
    };
    check("b6", "wait: stuck 7");
    check("b6 b7", "download 7");
    check("b8 b6 b9", "download 9 8");
    check("none", "wait: stuck 7");
    check("b8!", "wait: stuck 7");
}

#[test]
fn reasons_say_what_helps() {
    let text = Why::Stuck { seq: seq(7) }.to_string();
    assert!(text.contains("ctlstore ledger skip 7"), "{text}");
    assert!(Why::Gap { low_water: seq(5) }.to_string().contains("after entry 5"));
}
