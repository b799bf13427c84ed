//! What followers are told, and what is held.

use ledger::{History, LeaderTs, Value};

use super::*;
use crate::changes::Op;
use crate::changes::change::tests::table;

const EPOCH: Epoch = Epoch { history: History::Legacy, incarnation: 1 };

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

fn change(number: u64) -> Arc<Change> {
    let table = table("fam___tbl", &[("n", ledger::ColumnType::Integer)]);
    let key = vec![Value::Integer(number.try_into().unwrap())];
    Arc::new(Change { seq: seq(number), at: LeaderTs::UNKNOWN, op: Op::Upsert, table, key })
}

fn ring(changes: impl IntoIterator<Item = u64>, most: Most) -> Ring {
    let mut ring = Ring::default();
    changes.into_iter().for_each(|number| ring.push(change(number), most));
    ring
}

fn told(since: Since) -> (Vec<u64>, u64) {
    match since {
        Since::Changes { changes, through } => {
            (changes.iter().map(|change| change.seq.get()).collect(), through.get())
        }
        Since::FellBehind { oldest } => panic!("fell behind, oldest {oldest}"),
    }
}

fn behind(oldest: u64) -> Since {
    Since::FellBehind { oldest: seq(oldest) }
}

#[test]
fn it_holds_what_fits_and_says_what_it_does_not_hold() {
    let hub = Hub::with(Most { changes: 3, bytes: 1 << 20 });
    hub.restart(seq(10), None);
    assert_eq!(hub.since(seq(9)), behind(10));
    assert_eq!(told(hub.since(seq(10))), (vec![], 10));
    assert_eq!(told(hub.since(seq(12))), (vec![], 12), "told of later than it was committed");
    // 11 and 15 are the frame of a transaction.
    hub.record(ring([12, 13, 14], MOST), seq(15), EPOCH);
    assert_eq!(told(hub.since(seq(10))), (vec![12, 13, 14], 15));
    assert_eq!(told(hub.since(seq(13))), (vec![14], 15));
    assert_eq!(told(hub.since(seq(14))), (vec![], 15));
    hub.record(ring([16], MOST), seq(16), EPOCH);
    assert_eq!(hub.since(seq(11)), behind(16));
    assert_eq!(told(hub.since(seq(12))), (vec![13, 14, 16], 16));
    hub.restart(seq(5), None);
    assert_eq!(hub.since(seq(4)), behind(5));
    assert_eq!(hub.follow(None).stands().0, seq(5));
}

#[test]
fn its_memory_is_bounded_by_bytes_too() {
    let one = change(1).bytes();
    let hub = Hub::with(Most { changes: 100, bytes: 4 * one });
    hub.restart(Seq::ZERO, None);
    hub.record(ring(1..=10, MOST), seq(10), EPOCH);
    assert_eq!(told(hub.since(seq(6))), (vec![7, 8, 9, 10], 10));
    assert_eq!(hub.since(seq(5)), behind(10));
    assert!(hub.held().ring.bytes() <= 4 * one);
    // A transaction that is larger than all of it.
    hub.record(ring(11..=20, Most { changes: 2, bytes: 1 << 20 }), seq(20), EPOCH);
    assert_eq!(told(hub.since(seq(18))), (vec![19, 20], 20));
    assert_eq!(hub.since(seq(17)), behind(20));
}

#[test]
fn much_comes_in_parts() {
    let hub = Hub::new();
    hub.restart(Seq::ZERO, None);
    hub.record(ring(1..=2500, MOST), seq(2501), EPOCH);
    let (mut after, mut parts) = (0, Vec::new());
    while after < 2501 {
        let (changes, through) = told(hub.since(seq(after)));
        assert_eq!(changes.first(), (after < 2500).then_some(after + 1).as_ref());
        parts.push(changes.len());
        after = through;
    }
    assert_eq!(parts, [1000, 1000, 500]);
}

#[tokio::test]
async fn a_follower_gets_each_change_once_and_hears_of_a_break() {
    let hub = Hub::new();
    hub.restart(seq(3), None);
    let mut late = hub.follow(Some(seq(1)));
    assert_eq!(late.next().await, behind(3));
    let mut follower = hub.follow(Some(seq(3)));
    let next = tokio::spawn(async move {
        let first = follower.next().await;
        (first, follower)
    });
    tokio::task::yield_now().await;
    hub.record(ring([4], MOST), seq(4), EPOCH);
    let (first, mut follower) = next.await.unwrap();
    assert_eq!(told(first), (vec![4], 4));
    // A transaction of nothing is news, too: the position.
    hub.record(Ring::default(), seq(6), EPOCH);
    assert_eq!(told(follower.next().await), (vec![], 6));
    // Another file at the same place, by another way.
    hub.restart(seq(6), Some(EPOCH));
    assert_eq!(follower.next().await, behind(6));
    hub.record(ring([7], MOST), seq(7), EPOCH);
    assert_eq!(told(follower.next().await), (vec![7], 7));
    assert_eq!(late.next().await, behind(7));
}

#[tokio::test]
async fn a_sequence_of_another_epoch_means_reload() {
    let hub = Hub::new();
    hub.restart(seq(5), Some(EPOCH));
    let stepped = Epoch { incarnation: 2, ..EPOCH };
    hub.record(ring([6, 7], MOST), seq(7), EPOCH);
    assert_eq!(told(hub.follow_in(EPOCH, seq(5)).next().await), (vec![6, 7], 7));
    let mut other = hub.follow_in(stepped, seq(5));
    assert_eq!(other.stands(), (seq(5), None));
    assert_eq!(other.next().await, behind(7));
    assert_eq!(other.stands(), (seq(7), Some(EPOCH)));
    // The sequence stepped back, and who comes with one of before may have read what is not so any more.
    let mut here = hub.follow(Some(seq(7)));
    hub.restart(seq(3), Some(stepped));
    hub.record(ring([4, 5, 6, 7, 8], MOST), seq(8), stepped);
    assert_eq!(here.next().await, behind(8));
    assert_eq!(hub.follow_in(EPOCH, seq(7)).next().await, behind(8));
    assert_eq!(told(hub.follow_in(stepped, seq(7)).next().await), (vec![8], 8));
}

#[test]
fn the_rows_that_one_entry_deletes_come_together() {
    let hub = Hub::new();
    hub.restart(Seq::ZERO, None);
    let one_entry = std::iter::repeat_n(2, 1500);
    hub.record(ring([1].into_iter().chain(one_entry).chain([3]), MOST), seq(3), EPOCH);
    let (changes, through) = told(hub.since(Seq::ZERO));
    assert_eq!((changes.len(), through), (1501, 2));
    assert_eq!(told(hub.since(seq(2))), (vec![3], 3));
}

#[test]
fn what_was_passed_over_far_from_the_ledgers_end_is_not_held() {
    let hub = Hub::new();
    hub.restart(Seq::ZERO, None);
    let mut passed = ring([1], MOST);
    (2..=100).for_each(|number| passed.pass_over(seq(number)));
    passed.push(change(101), MOST);
    hub.record(passed, seq(101), EPOCH);
    assert_eq!(hub.since(seq(99)), behind(101));
    assert_eq!(told(hub.since(seq(100))), (vec![101], 101));
}
