//! From the JSON of the limit routes to limits: what the original takes, and none of the numbers that would lock a writer
//! or a table by accident. Pure.

use std::time::Duration;

use ctldb::{RateLimit, SizeLimit};
use ledger::{FamilyName, LdbTable, NameError, TableName};
use serde_json::value::RawValue;

use crate::error::{Code, Error};
use crate::json::Object;

/// The names of a path, refused in the words of the original.
pub(super) fn sanitized(family: &str, table: &str) -> Result<LdbTable, Error> {
    let refuse = |words: &'static str| move |error: NameError| Error::from(error).context(words);
    let family = FamilyName::parse_folded(family).map_err(refuse("sanitize family: "))?;
    let table = TableName::parse_folded(table).map_err(refuse("sanitize table: "))?;
    Ok(LdbTable::new(family, table)?)
}

/// Reads `{"max-size":BYTES,"warn-size":BYTES}`.
pub(super) fn size_limit(body: &[u8]) -> Result<SizeLimit, Error> {
    let object = Object::parse(body).map_err(|error| json_error(&error))?;
    let bytes = |name: &str| match object.get(name) {
        None => Ok(None),
        Some(value) => match value.get().parse::<i64>().map(u64::try_from) {
            Ok(Ok(bytes)) => Ok(Some(bytes)),
            Ok(Err(_)) | Err(_) => {
                let text =
                    format!("invalid {name}: '{}', send a whole number of bytes", text(value));
                Err(Error::new(Code::LimitInvalid, text).field(name))
            }
        },
    };
    let missing = || {
        Error::new(Code::LimitInvalid, "no max-size, send the table's largest size in bytes")
            .field("max-size")
    };
    let warn_bytes = bytes("warn-size")?.unwrap_or(0);
    Ok(SizeLimit { max_bytes: bytes("max-size")?.ok_or_else(missing)?, warn_bytes })
}

/// Reads `{"amount":N,"period":NANOSECONDS | "1m"}`. A fraction of either number is cut off, as in the original.
pub(super) fn rate_limit(body: &[u8]) -> Result<RateLimit, Error> {
    let object = Object::parse(body).map_err(|error| json_error(&error))?;
    let invalid = |name: &str| {
        let given = object.get(name).map_or_else(String::new, text);
        Error::new(Code::LimitInvalid, format!("invalid {name}: '{given}'")).field(name)
    };
    let rows = object.get("amount").and_then(|value| whole(value.get()));
    let period = object.get("period").and_then(|value| match string(value) {
        Some(text) => go_duration(&text),
        None => whole(value.get()).map(Duration::from_nanos),
    });
    Ok(RateLimit {
        rows: rows.ok_or_else(|| invalid("amount"))?,
        period: period.filter(|period| !period.is_zero()).ok_or_else(|| invalid("period"))?,
    })
}

fn json_error(error: &serde_json::Error) -> Error {
    Error::new(Code::JsonInvalid, format!("JSON Error: {error}"))
}

/// A JSON number that is not negative, without its fraction.
fn whole(text: &str) -> Option<u64> {
    let number = serde_json::from_str::<serde_json::Number>(text).ok()?;
    if let Some(number) = number.as_u64() {
        return Some(number);
    }
    let number = number.as_f64().filter(|number| (0.0..1e18).contains(number))?;
    // The text of a truncated double below 10^18 is a whole number's.
    format!("{:.0}", number.trunc()).parse().ok()
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A value in a message: a string without its quotes.
fn text(value: &RawValue) -> String {
    string(value).unwrap_or_else(|| value.get().to_owned())
}

/// A duration as Go writes it: `10s`, `1m30s`, `1.5h`, `100ms`, `+2us`; `0` is one, too.
fn go_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let nanos: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(times(number, nanos)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// `1.5` times so many nanoseconds.
fn times(number: &str, nanos: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut sum = whole.checked_mul(nanos)?;
    let mut unit = nanos;
    for digit in fraction.chars() {
        unit /= 10;
        sum = sum.checked_add(unit.checked_mul(digit.to_digit(10)?.into())?)?;
    }
    Some(Duration::from_nanos(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(body: &str) -> Result<(u64, u64), String> {
        let limit = rate_limit(body.as_bytes()).map_err(|error| error.to_string())?;
        Ok((limit.rows, u64::try_from(limit.period.as_nanos()).unwrap()))
    }

    #[test]
    fn rates_are_read_as_the_original_reads_them() {
        let second = 1_000_000_000;
        for (body, want) in [
            (r#"{"amount":10,"period":"10s"}"#, (10, 10 * second)),
            (r#"{"amount":15.52,"period":60000000000}"#, (15, 60 * second)),
            (r#"{"Amount":1e3,"PERIOD":"1m30s"}"#, (1000, 90 * second)),
            (r#"{"amount":0,"period":"1.5h"}"#, (0, 5400 * second)),
            (r#"{"amount":1,"period":"+500ms"}"#, (1, second / 2)),
            (r#"{"amount":1,"period":"2us3ns"}"#, (1, 2003)),
        ] {
            assert_eq!(rate(body), Ok(want), "{body}");
        }
        for (body, want) in [
            (r#"{"amount":"x","period":"10s"}"#, "invalid amount: 'x'"),
            (r#"{"amount":true,"period":"10s"}"#, "invalid amount: 'true'"),
            (r#"{"amount":-1,"period":"10s"}"#, "invalid amount: '-1'"),
            (r#"{"amount":1e300,"period":"10s"}"#, "invalid amount: '1e300'"),
            (r#"{"period":"10s"}"#, "invalid amount: ''"),
            (r#"{"amount":1,"period":"x"}"#, "invalid period: 'x'"),
            (r#"{"amount":1,"period":"10"}"#, "invalid period: '10'"),
            (r#"{"amount":1,"period":".s"}"#, "invalid period: '.s'"),
            (r#"{"amount":1,"period":""}"#, "invalid period: ''"),
            // It would divide by zero.
            (r#"{"amount":1,"period":0}"#, "invalid period: '0'"),
            (r#"{"amount":1}"#, "invalid period: ''"),
        ] {
            assert_eq!(rate(body), Err(want.to_owned()), "{body}");
        }
        for body in ["", "null", "[]", "nonsense"] {
            assert!(rate(body).unwrap_err().starts_with("JSON Error: "), "{body}");
        }
    }

    #[test]
    fn sizes_are_whole_numbers_of_bytes() {
        let size = |body: &str| {
            let limit = size_limit(body.as_bytes()).map_err(|error| error.to_string())?;
            Ok::<_, String>((limit.max_bytes, limit.warn_bytes))
        };
        assert_eq!(size(r#"{"max-size":10,"warn-size":5}"#), Ok((10, 5)));
        assert_eq!(size(r#"{"MAX-SIZE":10}"#), Ok((10, 0)));
        for body in [
            "null",
            "{}",
            r#"{"warn-size":5}"#,
            r#"{"max-size":-1}"#,
            r#"{"max-size":1.5}"#,
            r#"{"max-size":"10"}"#,
            r#"{"max-size":9223372036854775808}"#,
        ] {
            assert!(size(body).is_err(), "{body}");
        }
    }
}
