//! Sizes on the command line: `4MiB`, `1GiB`, `64KiB`, `512B`.

/// Reads a size in bytes: a whole number with `B`, `KiB`, `MiB` or `GiB`, more than zero.
///
/// # Errors
/// How to write one, for whoever typed it.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || "write a size like 64KiB, 4MiB or 1GiB, more than zero".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|size| *size > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_two() {
        let check = |text, want| assert_eq!(parse(text).ok(), want, "{text}");
        check("512B", Some(512));
        check("64KiB", Some(65_536));
        check("4MiB", Some(4 << 20));
        check("1GiB", Some(1 << 30));
        for text in ["", "4", "MiB", "0MiB", "4MB", "4 MiB", "-1B", "1.5GiB", "99999999999GiB"] {
            check(text, None);
        }
    }
}
