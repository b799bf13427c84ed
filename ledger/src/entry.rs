//! One entry of the ledger: its sequence, when its writer wrote it, and its text.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::{Digest, Seq};

/// An entry. Never edited, only followed by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// When it was written.
    pub leader_ts: LeaderTs,
    /// Its text, see [`Statement`](crate::Statement).
    pub statement: String,
}

impl Entry {
    /// BLAKE3 of the sequence and the microseconds since 1970 (both 8 bytes, little-endian, the time signed) and the
    /// statement's UTF-8 bytes, in this order.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seq.get().to_le_bytes());
        hasher.update(&self.leader_ts.as_micros().to_le_bytes());
        hasher.update(self.statement.as_bytes());
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

/// When an entry was written: UTC, to the microsecond, by the clock of the process that appended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaderTs(i64);

/// Text that is not a time of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger time {text:?} is not of the form 2026-01-31 23:59:59.123456")]
pub struct LeaderTsError {
    text: String,
}

impl LeaderTs {
    /// 1970-01-01, which stands for "not known" in a ledger of the original, whose column may be NULL.
    pub const UNKNOWN: LeaderTs = LeaderTs(0);

    /// From microseconds since 1970.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The text of the original's `_ldb_last_update`: `2019-07-15 16:30:01+00:00`, with as many digits of the fraction
    /// as are not zero.
    #[must_use]
    pub fn to_go_text(self) -> String {
        let text = self.to_string();
        let trimmed = text.trim_end_matches('0').trim_end_matches('.');
        // Zeros of the seconds themselves are not a fraction.
        let whole = "2019-07-15 16:30:01".len();
        let kept = if trimmed.len() <= whole { &text[..whole] } else { trimmed };
        format!("{kept}+00:00")
    }

    fn civil(self) -> Option<DateTime> {
        Timestamp::from_microsecond(self.0).ok().map(|time| TimeZone::UTC.to_datetime(time))
    }
}

/// As ctldb stores it: `2026-01-31 23:59:59.123456`.
impl fmt::Display for LeaderTs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // jiff covers the years -9999 to 9999, and no database hands out others.
        let civil = self.civil().ok_or(fmt::Error)?;
        let (date, time) = (civil.date(), civil.time());
        write!(
            out,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond() / 1000
        )
    }
}

impl FromStr for LeaderTs {
    type Err = LeaderTsError;
    fn from_str(text: &str) -> Result<Self, LeaderTsError> {
        let error = || LeaderTsError { text: text.to_owned() };
        let shape = text.len() >= "2019-07-15 16:30:01".len() && text.as_bytes()[10] == b' ';
        let civil: DateTime =
            if shape { text.parse().map_err(|_| error())? } else { return Err(error()) };
        let time = TimeZone::UTC.to_timestamp(civil).map_err(|_| error())?;
        Ok(Self(time.as_microsecond()))
    }
}
