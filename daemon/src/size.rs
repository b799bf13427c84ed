//! Sizes on the command line: `104857600`, `100Mi`, `4MiB`, `1G`.

/// Reads a size in bytes: a whole number, alone or with `B`, `k`, `M`, `G`, `Ki`, `Mi`, `Gi` (with a `B` behind or not), more
/// than zero. The original's flags are numbers of bytes, and manifests write `100Mi`.
///
/// # Errors
/// How to write one, for whoever typed it.
pub fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: Option<u64> = match unit {
        "" | "B" => Some(1),
        "k" => Some(1_000),
        "M" => Some(1_000_000),
        "G" => Some(1_000_000_000),
        "Ki" | "KiB" => Some(1 << 10),
        "Mi" | "MiB" => Some(1 << 20),
        "Gi" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let size = unit.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit));
    // Databases and JSON have signed numbers.
    let size = size.filter(|size| *size > 0 && i64::try_from(*size).is_ok());
    size.ok_or_else(|| "write a size like 104857600, 64Ki, 100Mi or 1G, more than zero".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_bytes_or_larger_units() {
        let check = |text, want| assert_eq!(parse(text).ok(), want, "{text}");
        check("7", Some(7));
        check("512B", Some(512));
        check("3k", Some(3_000));
        check("64KiB", Some(65_536));
        check("100Mi", Some(104_857_600));
        check("4MiB", Some(4 << 20));
        check("1G", Some(1_000_000_000));
        check("1Gi", Some(1 << 30));
        for text in [
            "",
            "0",
            "0MiB",
            "MiB",
            "Mi",
            "4MB",
            "100mb",
            "4 MiB",
            "-1",
            "-1B",
            "1e3",
            "1.5GiB",
            "99999999999Gi",
            "9223372036854775808",
        ] {
            check(text, None);
        }
    }
}
