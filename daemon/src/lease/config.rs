//! Which Lease, as whom, and how fast.

use std::time::Duration;

use super::error::LeaseError;

/// The times of the election. The defaults are client-go's and suit a handful of candidates;
/// where every node is one, take longer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long others wait after the last renewal they saw; whole seconds.
    pub duration: Duration,
    /// How long a leader acts after its last successful renewal was begun.
    pub renew_deadline: Duration,
    /// The longest pause between two looks at the Lease; jitter shortens it by up to a half.
    pub retry: Duration,
    /// The longest wait for one answer of the API server.
    pub call_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            call_timeout: Duration::from_millis(1500),
        }
    }
}

impl Timing {
    pub(super) fn check(self) -> Result<Self, LeaseError> {
        let Self { duration, renew_deadline, retry, call_timeout } = self;
        let ascending = call_timeout < retry && retry < renew_deadline && renew_deadline < duration;
        let whole = duration.subsec_nanos() == 0 && i32::try_from(duration.as_secs()).is_ok();
        if ascending && whole { Ok(self) } else { Err(LeaseError::Timing(self)) }
    }
}

/// Which Lease to stand for, and as whom.
#[derive(Debug, Clone)]
pub struct LeaseConfig {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// Who we are; from [`identity`].
    pub identity: String,
    /// The times.
    pub timing: Timing,
}

/// An identity that no other process has or had: a container that restarts keeps its pod's name,
/// and must not take the Lease of its former life for its own.
#[must_use]
pub fn identity(pod: &str) -> String {
    format!("{pod}_{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_keep_candidates_apart_are_refused() {
        let good = Timing::default();
        assert_eq!(good.check().unwrap(), good);
        let bad = [
            Timing { call_timeout: good.retry, ..good },
            Timing { retry: good.renew_deadline, ..good },
            Timing { renew_deadline: good.duration, ..good },
            // Others would wait for 15 s, we would act for 15.2 s.
            Timing {
                duration: Duration::from_millis(15_500),
                renew_deadline: Duration::from_millis(15_200),
                ..good
            },
        ];
        for timing in bad {
            let text = timing.check().unwrap_err().to_string();
            assert!(text.contains("retry < renew deadline < duration"), "{text}");
        }
    }

    #[test]
    fn two_lives_of_one_pod_have_two_identities() {
        let (first, second) = (identity("operator-0"), identity("operator-0"));
        assert!(first.starts_with("operator-0_") && first != second, "{first} {second}");
    }
}
