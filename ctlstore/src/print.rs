//! Rows and facts on the terminal: as JSON, an object a line, or as a table for people.

use std::io::{self, Write};
use std::time::Duration;

use ledger::{TableSchema, Value};
use reader::Row;

use crate::args::Output;

/// What stands in a table where there is no value; JSON says `null`.
const NO_VALUE: &str = "NULL";
/// Bytes that a table shows; JSON has them all.
const SHOWN: usize = 16;

/// Prints rows of one table.
pub(crate) fn rows(
    schema: &TableSchema,
    rows: &[Row],
    output: Output,
    out: &mut dyn Write,
) -> io::Result<()> {
    match output {
        Output::Json => {
            rows.iter().try_for_each(|row| writeln!(out, "{}", serde_json::to_string(row)?))
        }
        Output::Table => {
            let head = schema.columns().iter().map(|column| column.name.to_string()).collect();
            let body = rows.iter().map(|row| row.values().iter().map(cell).collect());
            table(&std::iter::once(head).chain(body).collect::<Vec<_>>(), out)
        }
    }
}

/// Prints names and values, one a line.
pub(crate) fn facts(facts: &[(impl AsRef<str>, String)], out: &mut dyn Write) -> io::Result<()> {
    let width = facts.iter().map(|(name, _)| name.as_ref().len()).max().unwrap_or(0);
    facts.iter().try_for_each(|(name, value)| writeln!(out, "{:width$}  {value}", name.as_ref()))
}

/// A span of time, in its two largest units.
pub(crate) fn age(age: Duration) -> String {
    let (seconds, millis) = (age.as_secs(), age.subsec_millis());
    match seconds {
        0..60 => format!("{seconds}.{}s", millis / 100),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        86_400.. => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A number of bytes, in the largest unit of which there is one.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> bits;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

/// Prints lines of cells, the first of which names the columns.
pub(crate) fn table(lines: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let columns = lines.first().map_or(0, Vec::len);
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for line in lines {
        // Not by a format's width, which ends at 65,535: a text may be longer.
        let pad = |(cell, &width): (&String, &usize)| {
            cell.clone() + &" ".repeat(width.saturating_sub(cell.chars().count()))
        };
        let cells: Vec<_> = line.iter().zip(&widths).map(pad).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// A value on one line: bytes as `0x…`, control characters escaped so that a row cannot play with the terminal.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => NO_VALUE.to_owned(),
        Value::Integer(integer) => integer.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Text(text) => line(text),
        Value::Bytes(bytes) if bytes.len() > 2 * SHOWN => {
            format!("{}… ({} bytes)", hexadecimal(&bytes[..SHOWN]), bytes.len())
        }
        Value::Bytes(bytes) => hexadecimal(bytes),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A text on one line, which cannot play with the terminal.
pub(crate) fn line(text: &str) -> String {
    text.chars().flat_map(escape).collect()
}

fn escape(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_whatever_it_holds() {
        assert_eq!(cell(&Value::Null), "NULL");
        assert_eq!(cell(&Value::Integer(i64::MIN)), "-9223372036854775808");
        assert_eq!(cell(&Value::Decimal(0.1)), "0.1");
        assert_eq!(cell(&Value::Text("a\nb\u{1b}[31m é".to_owned())), "a\\nb\\u{1b}[31m é");
        assert_eq!(cell(&Value::Bytes(vec![0, 255])), "0x00ff");
        let long = format!("0x{}… (33 bytes)", "ab".repeat(16));
        assert_eq!(cell(&Value::Bytes(vec![0xab; 33])), long);
    }

    #[test]
    fn an_age_has_two_units() {
        let check = |millis, want| assert_eq!(age(Duration::from_millis(millis)), want);
        check(0, "0.0s");
        check(59_999, "59.9s");
        check(60_000, "1m0s");
        check(3_600_000 * 23 + 59 * 60_000, "23h59m");
        check(86_400_000 * 400 + 3_600_000, "400d1h");
    }

    #[test]
    fn a_size_has_one_unit() {
        let check = |bytes, want| assert_eq!(size(bytes), want);
        check(0, "0 bytes");
        check(1023, "1023 bytes");
        check(1536, "1.5 KiB");
        check(100 << 20, "100.0 MiB");
        check(u64::MAX, "17179869183.9 GiB");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        table(&[line(["id", "name"]), line(["starter", "é"])], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "id       name\nstarter  é\n");
        let (mut out, long) = (Vec::new(), "x".repeat(70_000));
        table(&[line([&long, "b"]), line(["a", "c"])], &mut out).unwrap();
        assert_eq!(out.len(), 2 * (70_000 + 4));
    }
}
