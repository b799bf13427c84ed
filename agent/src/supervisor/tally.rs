//! How many entries other than heartbeats came after a snapshot, whoever took it. Replay counts since the process began;
//! here is remembered where the count stood when.

use std::collections::VecDeque;

use ledger::Seq;

/// Of the last hours, at the usual interval.
const POINTS: usize = 64;

/// What replay counted, up to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) seq: Seq,
    /// Entries that are no heartbeats, since the process began.
    pub(crate) changes: u64,
    /// The last of them.
    pub(crate) last: Option<Seq>,
}

/// Points in the order of their time.
#[derive(Debug, Default)]
pub(crate) struct Tally(VecDeque<Point>);

impl Tally {
    /// Remembers a point.
    pub(crate) fn note(&mut self, point: Point) {
        if self.0.back() == Some(&point) {
            return;
        }
        if self.0.len() == POINTS {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// How many came after `seq`, up to the last point; not fewer than did.
    pub(crate) fn after(&self, seq: Seq) -> u64 {
        let Some(now) = self.0.back() else { return 0 };
        if now.last.is_some_and(|last| last <= seq) {
            return 0;
        }
        match self.0.iter().rev().find(|point| point.seq <= seq) {
            Some(then) => now.changes - then.changes,
            None => {
                // What those were that were applied before is not known.
                let first = self.0.front().unwrap_or(now);
                first.seq.since(seq) + (now.changes - first.changes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_do_not_count_and_what_is_not_known_does() {
        let seq = |seq| Seq::new(seq).unwrap();
        let mut tally = Tally::default();
        assert_eq!(tally.after(seq(1)), 0);
        // The process begins at 100.
        tally.note(Point { seq: seq(100), changes: 0, last: None });
        assert_eq!((tally.after(seq(90)), tally.after(seq(100))), (10, 0));
        // Twenty entries, five of them changes, the last at 110; the rest are heartbeats.
        tally.note(Point { seq: seq(120), changes: 5, last: Some(seq(110)) });
        assert_eq!((tally.after(seq(90)), tally.after(seq(100))), (15, 5));
        assert_eq!(
            (tally.after(seq(109)), tally.after(seq(110)), tally.after(seq(115))),
            (5, 0, 0)
        );
        tally.note(Point { seq: seq(121), changes: 6, last: Some(seq(121)) });
        assert_eq!(
            (tally.after(seq(120)), tally.after(seq(119)), tally.after(seq(121))),
            (1, 6, 0)
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut tally = Tally::default();
        for n in 1..1000 {
            let seq = Seq::new(n).unwrap();
            tally.note(Point { seq, changes: n, last: Some(seq) });
        }
        assert_eq!(tally.0.len(), POINTS);
        assert_eq!(tally.after(Seq::new(1).unwrap()), 998);
    }
}
