//! How catching up comes along: entries a second, and how long it may take still. Pure: told what time it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ledger::Seq;

/// The rate is of the last so many seconds.
const WINDOW: Duration = Duration::from_secs(30);
/// Between two points that are kept.
const STEP: Duration = Duration::from_millis(500);
/// Between two lines of the log.
const TOLD: Duration = Duration::from_secs(5);

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CatchUp {
    /// Entries that the ledger has and the LDB has not.
    pub(crate) missing: u64,
    pub(crate) per_second: f64,
    /// None before there is a rate.
    pub(crate) left: Option<Duration>,
}

/// One run of catching up.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Point,
    points: VecDeque<Point>,
    told: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at: Instant,
    seq: Seq,
}

impl Progress {
    pub(crate) fn new(seq: Seq, at: Instant) -> Self {
        let began = Point { at, seq };
        Self { began, points: VecDeque::from([began]), told: at }
    }

    /// The LDB stands here now.
    pub(crate) fn moved(&mut self, seq: Seq, head: Seq, at: Instant) -> CatchUp {
        if self.points.back().is_none_or(|last| at.duration_since(last.at) >= STEP) {
            self.points.push_back(Point { at, seq });
        }
        while self.points.len() > 2 && at.duration_since(self.points[1].at) >= WINDOW {
            self.points.pop_front();
        }
        let from = self.points.front().copied().unwrap_or(self.began);
        let per_second = rate(seq.since(from.seq), at.duration_since(from.at));
        let missing = head.since(seq);
        let left = Duration::try_from_secs_f64(as_f64(missing) / per_second).ok();
        CatchUp { missing, per_second, left }
    }

    /// Is a line of the log due?
    pub(crate) fn tells(&mut self, at: Instant) -> bool {
        let due = at.duration_since(self.told) >= TOLD;
        if due {
            self.told = at;
        }
        due
    }

    /// Entries and time since the beginning, when it was long enough to be told of.
    pub(crate) fn ended(&self, seq: Seq, at: Instant) -> Option<(u64, Duration)> {
        let time = at.duration_since(self.began.at);
        (time >= TOLD).then(|| (seq.since(self.began.seq), time))
    }
}

fn rate(entries: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { as_f64(entries) / time.as_secs_f64() }
}

/// Beyond 2^32 entries nobody needs to know the time to the second.
fn as_f64(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_last_seconds_and_says_how_long_it_takes() {
        let start = Instant::now();
        let seq = |number| Seq::new(number).unwrap();
        let mut progress = Progress::new(seq(1000), start);
        let first = progress.moved(seq(1000), seq(101_000), start);
        assert_eq!((first.missing, first.left), (100_000, None));
        let mut last = first;
        for second in 1..=40_u64 {
            // Slow at first, then ten times as fast.
            let at = if second <= 8 { 1000 + second * 100 } else { 1800 + (second - 8) * 1000 };
            last = progress.moved(seq(at), seq(101_000), start + Duration::from_secs(second));
        }
        assert!((last.per_second - 1000.0).abs() < 40.0, "{last:?}");
        assert_eq!(last.missing, 101_000 - 33_800);
        let left = last.left.unwrap().as_secs_f64();
        assert!((left - 67.2).abs() < 3.0, "{left}");
    }

    #[test]
    fn lines_are_five_seconds_apart_and_a_short_run_is_not_told_of() {
        let start = Instant::now();
        let mut progress = Progress::new(Seq::ZERO, start);
        let after = |millis| start + Duration::from_millis(millis);
        assert!(!progress.tells(after(4999)));
        assert!(progress.tells(after(5000)));
        assert!(!progress.tells(after(9999)));
        assert!(progress.tells(after(10_000)));
        assert_eq!(progress.ended(Seq::new(9).unwrap(), after(4000)), None);
        let ended = progress.ended(Seq::new(9).unwrap(), after(6000));
        assert_eq!(ended, Some((9, Duration::from_secs(6))));
    }
}
