//! Rows and facts on the terminal: as JSON, an object a line, or as a table for people.

use std::io::{self, Write};

use ledger::{TableSchema, Value};
use reader::Row;

use crate::args::Output;

/// What stands in a table where there is no value; JSON says `null`.
const NO_VALUE: &str = "NULL";

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
pub(crate) fn facts(facts: &[(&str, String)], out: &mut dyn Write) -> io::Result<()> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts.iter().try_for_each(|(name, value)| writeln!(out, "{name:width$}  {value}"))
}

fn table(lines: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let columns = lines.first().map_or(0, Vec::len);
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A value on one line: bytes as `0x…`, control characters escaped so that a row cannot play with the terminal.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => NO_VALUE.to_owned(),
        Value::Integer(integer) => integer.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Text(text) => text.chars().flat_map(escape).collect(),
        Value::Bytes(bytes) => {
            bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        }
    }
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
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        table(&[line(["id", "name"]), line(["starter", "é"])], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "id       name\nstarter  é\n");
    }
}
