//! When an entry was written, and the two texts of it: ctldb's and the LDB's.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::{DateTime, datetime};
use serde::{Deserialize, Serialize};

/// When an entry was written: UTC, to the microsecond, in the years 0 to 9999, by the clock of the process that
/// appended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct LeaderTs(i64);

/// Text that is not a time of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger time {text:?} is not of the form 2026-01-31 23:59:59.123456")]
pub struct LeaderTsError {
    text: String,
}

const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

impl LeaderTs {
    /// 1970-01-01, which stands for "not known" in a ledger of the original, whose column may be NULL.
    pub const UNKNOWN: LeaderTs = LeaderTs(0);
    /// The earliest: 0000-01-01 00:00:00.
    pub const MIN: LeaderTs = LeaderTs(-62_167_219_200_000_000);
    /// The latest: 9999-12-31 23:59:59.999999.
    pub const MAX: LeaderTs = LeaderTs(253_402_300_799_999_999);

    /// From microseconds since 1970. What lies before the year 0 or after 9999, which no database can store, becomes
    /// the earliest or the latest time.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
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
        // Never trims the seconds: the point stops it.
        let kept = text.trim_end_matches('0').trim_end_matches('.');
        format!("{kept}+00:00")
    }

    fn civil(self) -> DateTime {
        let since = SignedDuration::from_micros(self.0);
        EPOCH.checked_add(since).expect("BUG: from_micros() clamped to the calendar's years")
    }
}

impl From<i64> for LeaderTs {
    fn from(micros: i64) -> Self {
        Self::from_micros(micros)
    }
}

impl From<LeaderTs> for i64 {
    fn from(time: LeaderTs) -> i64 {
        time.0
    }
}

/// As ctldb stores it: `2026-01-31 23:59:59.123456`.
impl fmt::Display for LeaderTs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil();
        write!(
            out,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            civil.subsec_nanosecond() / 1000
        )
    }
}

/// Reads `2026-01-31 23:59:59` with or without a fraction of up to six digits.
impl FromStr for LeaderTs {
    type Err = LeaderTsError;
    fn from_str(text: &str) -> Result<Self, LeaderTsError> {
        let civil = read(text).ok_or_else(|| LeaderTsError { text: text.to_owned() })?;
        let micros = civil.duration_since(EPOCH).as_micros();
        Ok(Self::from_micros(i64::try_from(micros).expect("BUG: years of four digits fit")))
    }
}

fn read(text: &str) -> Option<DateTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let (shape, places) = ("dddd-dd-dd dd:dd:dd", [0..4, 5..7, 8..10, 11..13, 14..16, 17..19]);
    let fits =
        |(byte, wanted)| if wanted == b'd' { u8::is_ascii_digit(&byte) } else { byte == wanted };
    let digits = (1..=6).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    if !digits || whole.len() != shape.len() || !whole.bytes().zip(shape.bytes()).all(fits) {
        return None;
    }
    let [year, month, day, hour, minute, second] = places.map(|place| whole[place].parse::<i16>());
    let part = |number: Result<i16, _>| i8::try_from(number.ok()?).ok();
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    let (date, time) =
        ((year.ok()?, part(month)?, part(day)?), (part(hour)?, part(minute)?, part(second)?));
    DateTime::new(date.0, date.1, date.2, time.0, time.1, time.2, nanos).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ctldbs_text_is_read_and_written() {
        for (text, micros) in [
            ("1970-01-01 00:00:00.000000", 0),
            ("2019-07-15 16:30:01.000000", 1_563_208_201_000_000),
            ("2026-01-31 23:59:59.123456", 1_769_903_999_123_456),
            ("1969-12-31 23:59:59.999999", -1),
            ("2024-02-29 12:00:00.000001", 1_709_208_000_000_001),
            ("0000-01-01 00:00:00.000000", LeaderTs::MIN.as_micros()),
            ("9999-12-31 23:59:59.999999", LeaderTs::MAX.as_micros()),
        ] {
            let time = LeaderTs::from_micros(micros);
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time), "{text}");
        }
    }

    #[test]
    fn a_fraction_has_up_to_six_digits() {
        let micros = |fraction: &str| {
            format!("1970-01-01 00:00:01{fraction}")
                .parse::<LeaderTs>()
                .map(LeaderTs::as_micros)
                .ok()
        };
        assert_eq!(micros(""), Some(1_000_000));
        assert_eq!(micros(".5"), Some(1_500_000));
        assert_eq!(micros(".000001"), Some(1_000_001));
        for refused in [".", ".0000001", ".5a", ",5", "+00:00", "Z", ".5Z", " ", ".-1"] {
            assert_eq!(micros(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T23:59:59",
            "2026-01-31 23:59",
            "2026-1-31 23:59:59",
            "2026-02-29 00:00:00",
            "2026-13-01 00:00:00",
            "2026-01-31 24:00:00",
            "2026-01-31 23:60:00",
            "2026-01-31 23:59:60",
            "0000-00-00 00:00:00",
            "-026-01-31 23:59:59",
            "+026-01-31 23:59:59",
            "2026-01-31 23:59:é",
            "２026-01-31 23:59",
            " 2026-01-31 23:59:59",
        ] {
            let error = text.parse::<LeaderTs>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn the_ldbs_text_is_gos() {
        let go = |text: &str| text.parse::<LeaderTs>().unwrap().to_go_text();
        assert_eq!(go("2019-07-15 16:30:01"), "2019-07-15 16:30:01+00:00");
        assert_eq!(go("2019-07-15 16:30:00"), "2019-07-15 16:30:00+00:00");
        assert_eq!(go("2000-10-10 10:00:00"), "2000-10-10 10:00:00+00:00");
        assert_eq!(go("2019-07-15 16:30:01.5"), "2019-07-15 16:30:01.5+00:00");
        assert_eq!(go("2019-07-15 16:30:01.000001"), "2019-07-15 16:30:01.000001+00:00");
        assert_eq!(go("2019-07-15 16:30:01.120000"), "2019-07-15 16:30:01.12+00:00");
    }

    #[test]
    fn times_sort_as_their_texts() {
        let earlier = LeaderTs::from_micros(-1);
        assert!(earlier < LeaderTs::UNKNOWN && earlier.to_string() < LeaderTs::UNKNOWN.to_string());
    }

    #[test]
    fn serde_writes_microseconds_and_clamps_too() {
        assert_eq!(serde_json::to_string(&LeaderTs::from_micros(-5)).unwrap(), "-5");
        let far: LeaderTs = serde_json::from_str("9223372036854775807").unwrap();
        assert_eq!(far, LeaderTs::MAX);
    }

    proptest! {
        #[test]
        fn every_number_of_microseconds_has_a_text_that_reads_back(micros: i64) {
            let time = LeaderTs::from_micros(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            prop_assert!(time.to_go_text().ends_with("+00:00"));
        }

        #[test]
        fn times_that_databases_have_keep_their_microseconds(
            micros in LeaderTs::MIN.as_micros()..=LeaderTs::MAX.as_micros()
        ) {
            let time = LeaderTs::from_micros(micros);
            prop_assert_eq!(time.as_micros(), micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
