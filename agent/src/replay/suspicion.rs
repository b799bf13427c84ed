//! When to believe that entries are missing. A replica or a proxy may show a hole for a moment; data loss stays.

use std::time::{Duration, Instant};

use ledger::Seq;

/// So many looks must show the same hole,
const LOOKS: u32 = 3;
/// over at least so long.
const SPAN: Duration = Duration::from_secs(3);

/// A hole that was seen.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    from: Seq,
    since: Instant,
    looks: u32,
}

impl Suspicion {
    /// A look showed a hole that begins here. Is it to be believed?
    pub(crate) fn confirm(&mut self, from: Seq, now: Instant) -> bool {
        match &mut self.seen {
            Some(seen) if seen.from == from => {
                seen.looks = seen.looks.saturating_add(1);
                seen.looks >= LOOKS && now.duration_since(seen.since) >= SPAN
            }
            Some(_) | None => {
                self.seen = Some(Seen { from, since: now, looks: 1 });
                false
            }
        }
    }

    /// A look showed none.
    pub(crate) fn clear(&mut self) {
        self.seen = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_believed_after_three_looks_over_three_seconds() {
        let mut suspicion = Suspicion::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let seven = Seq::new(7).unwrap();
        for millis in [0, 1, 2, 3, 2999] {
            assert!(!suspicion.confirm(seven, at(millis)), "{millis}");
        }
        assert!(suspicion.confirm(seven, at(3000)));
        assert!(suspicion.confirm(seven, at(3001)));
        assert!(!suspicion.confirm(Seq::new(8).unwrap(), at(9000)), "another hole");

        suspicion.clear();
        assert!(!suspicion.confirm(seven, at(10_000)));
        assert!(!suspicion.confirm(seven, at(20_000)), "two looks");
        assert!(suspicion.confirm(seven, at(20_001)));
    }
}
