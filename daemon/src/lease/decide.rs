//! Decides what a candidate does about the Lease. Pure: no client, no clock, no memory.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::Instant;

/// What one candidate knows of the Lease.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The record as it was read or written last.
    pub record: LeaseSpec,
    /// When this candidate first saw the record so, on its own monotonic clock. That is never
    /// before the holder wrote it, so the holder's time is over when it is over from here on.
    pub since: Instant,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nobody holds the Lease, or its holder has let it expire: try to take it.
    Acquire,
    /// It is ours: prolong it.
    Renew,
    /// It is another's: look again later.
    Wait,
}

impl Seen {
    /// What is known after the Lease was read as `record` (`None`: there is none) at `now`.
    ///
    /// A Lease that was deleted does not end its holder's time: the holder may not know yet.
    #[must_use]
    pub fn update(seen: Option<Self>, record: Option<&LeaseSpec>, now: Instant) -> Option<Self> {
        match (seen, record) {
            (Some(seen), None) => Some(seen),
            (Some(seen), Some(record)) if seen.record == *record => Some(seen),
            (_, Some(record)) => Some(Self { record: record.clone(), since: now }),
            (None, None) => None,
        }
    }

    /// Who holds the Lease, expired or not.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }
}

/// Decides for the candidate `me`.
///
/// Expiry is judged by how long the record has stood unchanged before our own eyes, for as long
/// as the record says (`fallback` if it does not). Its times are another node's clock and are
/// never looked at.
#[must_use]
pub fn decide(seen: Option<&Seen>, now: Instant, me: &str, fallback: Duration) -> Decision {
    let Some(seen) = seen else { return Decision::Acquire };
    let Some(holder) = seen.holder() else { return Decision::Acquire };
    if holder == me {
        return Decision::Renew;
    }
    let said = seen.record.lease_duration_seconds.and_then(|secs| u64::try_from(secs).ok());
    let duration = said.filter(|secs| *secs > 0).map_or(fallback, Duration::from_secs);
    if now.saturating_duration_since(seen.since) < duration {
        return Decision::Wait;
    }
    Decision::Acquire
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use proptest::prelude::*;

    use super::*;

    const FALLBACK: Duration = Duration::from_secs(15);

    fn record(holder: Option<&str>, secs: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: secs,
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn the_table_of_decisions() {
        let check = |holder: Option<&str>, secs, age_ms, want| {
            let since = Instant::now();
            let seen = Seen { record: record(holder, secs), since };
            let have = decide(Some(&seen), since + Duration::from_millis(age_ms), "me", FALLBACK);
            assert_eq!(have, want, "{holder:?} {secs:?} {age_ms}");
        };
        assert_eq!(decide(None, Instant::now(), "me", FALLBACK), Decision::Acquire);
        check(None, Some(15), 0, Decision::Acquire);
        check(Some(""), Some(15), 0, Decision::Acquire);
        check(Some("me"), Some(15), 0, Decision::Renew);
        check(Some("me"), Some(15), 1_000_000, Decision::Renew);
        check(Some("she"), Some(15), 0, Decision::Wait);
        check(Some("she"), Some(15), 14_999, Decision::Wait);
        check(Some("she"), Some(15), 15_000, Decision::Acquire);
        // The holder's duration counts, not ours.
        check(Some("she"), Some(60), 59_999, Decision::Wait);
        check(Some("she"), Some(5), 5_000, Decision::Acquire);
        for nonsense in [None, Some(0), Some(-7)] {
            check(Some("she"), nonsense, 14_999, Decision::Wait);
            check(Some("she"), nonsense, 15_000, Decision::Acquire);
        }
    }

    #[test]
    fn a_deleted_lease_leaves_its_holder_the_rest_of_its_time() {
        let start = Instant::now();
        let seen = Seen::update(None, Some(&record(Some("she"), Some(15))), start);
        let at = |secs| start + Duration::from_secs(secs);
        let seen = Seen::update(seen, None, at(10));
        assert_eq!(decide(seen.as_ref(), at(14), "me", FALLBACK), Decision::Wait);
        assert_eq!(decide(seen.as_ref(), at(15), "me", FALLBACK), Decision::Acquire);
        assert!(Seen::update(None, None, start).is_none());
    }

    prop_compose! {
        fn any_record()(
            holder in prop::option::of(prop::sample::select(vec!["", "me", "she", "he"])),
            secs in prop::option::of(-1..120_i32),
            times in prop::array::uniform2(prop::option::of(-1_000_000..4_000_000_000_i64)),
            transitions in prop::option::of(0..3_i32),
        ) -> LeaseSpec {
            let time = |secs: Option<i64>| secs.map(|s| MicroTime(Timestamp::from_second(s).unwrap()));
            LeaseSpec {
                renew_time: time(times[0]),
                acquire_time: time(times[1]),
                lease_transitions: transitions,
                ..record(holder, secs)
            }
        }
    }

    proptest! {
        /// However the record is read over and over, another's Lease is taken only when it stood
        /// unchanged for its whole duration, and what the record's own clock says has no say.
        #[test]
        fn never_taken_before_it_stood_still_for_its_duration(
            reads in prop::collection::vec((0..3000_u64, prop::option::of(any_record())), 1..40),
            skew in -1_000_000_000..1_000_000_000_i64,
        ) {
            let mut now = Instant::now();
            let (mut seen, mut skewed): (Option<Seen>, Option<Seen>) = (None, None);
            let mut stood: Option<(LeaseSpec, Duration)> = None;
            for (pause_ms, read) in reads {
                let pause = Duration::from_millis(pause_ms);
                now += pause;
                stood = match (stood, &read) {
                    (Some((last, age)), Some(new)) if last == *new => Some((last, age + pause)),
                    (Some((last, age)), None) => Some((last, age + pause)),
                    (_, Some(new)) => Some((new.clone(), Duration::ZERO)),
                    (None, None) => None,
                };
                seen = Seen::update(seen, read.as_ref(), now);
                let decision = decide(seen.as_ref(), now, "me", FALLBACK);

                let later = |time: &Option<MicroTime>| time.as_ref().map(|t| {
                    MicroTime(t.0 + jiff::SignedDuration::from_secs(skew))
                });
                let moved = read.map(|r| LeaseSpec {
                    renew_time: later(&r.renew_time),
                    acquire_time: later(&r.acquire_time),
                    ..r
                });
                skewed = Seen::update(skewed, moved.as_ref(), now);
                prop_assert_eq!(decision, decide(skewed.as_ref(), now, "me", FALLBACK));

                let holder = stood.as_ref().and_then(|(r, _)| r.holder_identity.clone());
                match holder.as_deref() {
                    None | Some("") => prop_assert_eq!(decision, Decision::Acquire),
                    Some("me") => prop_assert_eq!(decision, Decision::Renew),
                    Some(_) => {
                        let (record, age) = stood.as_ref().expect("BUG: it has a holder");
                        let secs = record.lease_duration_seconds.filter(|s| *s > 0).unwrap_or(15);
                        let over = *age >= Duration::from_secs(u64::from(secs.unsigned_abs()));
                        let want = if over { Decision::Acquire } else { Decision::Wait };
                        prop_assert_eq!(decision, want);
                    }
                }
            }
        }
    }
}
