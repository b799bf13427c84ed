//! A place in the ledger.
//!
//! Sequences are dense and begin at 1: a batch that is rolled back takes none, because the counter that makes them is a
//! row of the same transaction. A missing sequence is a hole, and a hole is an error, except in a ledger that the
//! original wrote (its numbers were auto-increment values, and every rolled-back write lost some).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The sequence of a ledger entry; [`Seq::ZERO`] is the place before the first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct Seq(u64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Seq = Seq(0);
    /// The first entry.
    pub const FIRST: Seq = Seq(1);
    /// The last that fits a signed 64-bit column.
    pub const MAX: Seq = Seq(i64::MAX.unsigned_abs());

    /// A sequence, if it fits a signed 64-bit column.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number <= Self::MAX.0).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number, as databases store it.
    #[must_use]
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).expect("BUG: new() checked the range")
    }

    /// The one after it; none at the end of the 64-bit range.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.plus(1)
    }

    /// The one `count` after it; none past the end of the 64-bit range.
    #[must_use]
    pub fn plus(self, count: u64) -> Option<Self> {
        self.0.checked_add(count).and_then(Self::new)
    }

    /// The one before it; [`Seq::ZERO`] has none before and stays.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// How many entries lie after `earlier` up to and with this one.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A number that is no sequence: it is negative or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a ledger sequence, they run from 0 to 9223372036854775807")]
pub struct NotASeq(i128);

impl TryFrom<u64> for Seq {
    type Error = NotASeq;
    fn try_from(number: u64) -> Result<Self, NotASeq> {
        Self::new(number).ok_or(NotASeq(number.into()))
    }
}

impl TryFrom<i64> for Seq {
    type Error = NotASeq;
    fn try_from(number: i64) -> Result<Self, NotASeq> {
        u64::try_from(number).map(Self).map_err(|_| NotASeq(number.into()))
    }
}

impl From<Seq> for u64 {
    fn from(seq: Seq) -> u64 {
        seq.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_what_a_signed_64_bit_column_holds() {
        assert_eq!(Seq::new(0), Some(Seq::ZERO));
        assert_eq!(Seq::new(9_223_372_036_854_775_807), Some(Seq::MAX));
        assert_eq!(Seq::new(9_223_372_036_854_775_808), None);
        assert_eq!(Seq::try_from(5_i64).map(Seq::to_i64), Ok(5));
        assert_eq!(Seq::MAX.to_i64(), i64::MAX);
        assert_eq!(
            Seq::try_from(-1_i64).unwrap_err().to_string(),
            "-1 is not a ledger sequence, they run from 0 to 9223372036854775807"
        );
        assert!(Seq::try_from(u64::MAX).is_err());
    }

    #[test]
    fn sequences_follow_each_other_up_to_the_last() {
        assert_eq!(Seq::ZERO.next(), Some(Seq::FIRST));
        assert_eq!(Seq::MAX.next(), None);
        assert_eq!(Seq::FIRST.plus(u64::MAX), None);
        assert_eq!(Seq::FIRST.plus(2), Seq::new(3));
        assert_eq!(Seq::FIRST.before(), Seq::ZERO);
        assert_eq!(Seq::ZERO.before(), Seq::ZERO);
        assert_eq!(Seq::MAX.since(Seq::FIRST), u64::MAX / 2 - 1);
        assert_eq!(Seq::FIRST.since(Seq::MAX), 0);
    }

    #[test]
    fn serde_goes_through_the_rules() {
        assert_eq!(serde_json::to_string(&Seq::MAX).unwrap(), "9223372036854775807");
        assert_eq!(serde_json::from_str::<Seq>("7").unwrap(), Seq(7));
        assert!(serde_json::from_str::<Seq>("-1").is_err());
        assert!(serde_json::from_str::<Seq>("9223372036854775808").is_err());
    }
}
