//! The pause before the next attempt: doubled each time up to a cap, with full jitter, so that a
//! thousand processes do not come back in step. It does not sleep.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Pauses for one loop.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    /// The next pause is at most this.
    ceiling: Duration,
}

impl Backoff {
    /// Pauses of at most `first` at the beginning and never more than `cap`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, ceiling: first.min(cap) }
    }

    /// The pause before the next attempt.
    #[expect(clippy::should_implement_trait, reason = "endless, so an Option would only be noise")]
    pub fn next(&mut self) -> Duration {
        self.next_by(&mut rand::rng())
    }

    /// [`Backoff::next`] with a given source of chance.
    pub fn next_by(&mut self, rng: &mut impl Rng) -> Duration {
        let pause = rng.random_range(Duration::ZERO..=self.ceiling);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.cap);
        pause
    }

    /// An attempt succeeded: the next pause is short again.
    pub fn reset(&mut self) {
        self.ceiling = self.first.min(self.cap);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// The longest of many pauses after `attempts` earlier ones: near the ceiling.
    fn longest(attempts: usize) -> Duration {
        let mut rng = StdRng::seed_from_u64(7);
        let mut pause = || {
            let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
            for _ in 0..attempts {
                backoff.next_by(&mut rng);
            }
            backoff.next_by(&mut rng)
        };
        (0..1000).map(|_| pause()).max().unwrap()
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        for (attempts, ceiling_ms) in [(0, 100), (1, 200), (5, 3200), (9, 30_000), (200, 30_000)] {
            let (have, ceiling) = (longest(attempts), Duration::from_millis(ceiling_ms));
            assert!(have <= ceiling && have > ceiling.mul_f64(0.95), "{attempts}: {have:?}");
        }
    }

    #[test]
    fn pauses_spread_over_the_whole_range_and_start_again_after_reset() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(Duration::from_secs(8), Duration::from_secs(8));
        let short = (0..1000).filter(|_| backoff.next_by(&mut rng) < Duration::from_secs(4));
        assert!((400..600).contains(&short.count()));

        let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_secs(8));
        for _ in 0..20 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(1));
    }
}
