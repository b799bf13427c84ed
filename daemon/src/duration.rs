//! Durations on the command line, as the original's flags take them: `30s`, `500ms`, `1m30s`, `2h`; and days, `7d`.

use std::time::Duration;

/// Reads a duration: whole numbers with `ms`, `s`, `m`, `h` or `d`, one or several, more than zero in all.
///
/// # Errors
/// How to write one, for whoever typed it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "write a duration like 30s, 500ms or 1m30s, more than zero".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(24 * 3600),
            _ => return Err(wrong()),
        };
        total = unit.checked_mul(number).and_then(|d| total.checked_add(d)).ok_or_else(wrong)?;
        rest = tail;
    }
    if total.is_zero() { Err(wrong()) } else { Ok(total) }
}

/// Reads a duration as [`parse`] does, or `0`, which turns something off.
///
/// # Errors
/// How to write one, for whoever typed it.
pub fn parse_or_off(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => {
            parse(text).map_err(|_| "write a duration like 15s or 1m30s, or 0 for off".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_the_original() {
        for (text, millis) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
        }
        assert_eq!(parse_or_off("0"), Ok(Duration::ZERO));
        assert_eq!(parse_or_off("15s"), Ok(Duration::from_secs(15)));
        assert!(parse_or_off("off").is_err());
        for wrong in ["", "30", "s", "0s", "-1s", "1.5s", "1w", "99999999999s", "s30"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
