//! The values of a key as they are typed, turned into what their columns hold.

use anyhow::{Context, Result, bail};
use ledger::{Column, ColumnType, TableSchema};
use reader::KeyValue;

/// A value of a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Typed {
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
}

/// Reads each value as its column wants it. Whether they are too few or too many, the reader says.
pub(crate) fn parse(schema: &TableSchema, typed: &[String]) -> Result<Vec<Typed>> {
    let mut columns = schema.key_columns();
    let value = |text: &String| match columns.next() {
        Some(column) => value(column, text),
        None => Ok(Typed::Text(text.clone())),
    };
    typed.iter().map(value).collect()
}

pub(crate) fn borrowed(key: &[Typed]) -> Vec<KeyValue<'_>> {
    let borrow = |typed| match typed {
        &Typed::Integer(integer) => KeyValue::from(integer),
        Typed::Text(text) => KeyValue::from(text.as_str()),
        Typed::Bytes(bytes) => KeyValue::from(bytes.as_slice()),
    };
    key.iter().map(borrow).collect()
}

fn value(column: &Column, text: &str) -> Result<Typed> {
    let name = column.name.as_str();
    match column.column_type {
        ColumnType::Integer => {
            let integer = text.parse().with_context(|| {
                format!("key column {name:?} is an Integer, {text:?} is none")
            })?;
            Ok(Typed::Integer(integer))
        }
        ColumnType::ByteString | ColumnType::Binary => match text.strip_prefix("0x") {
            Some(digits) => bytes(digits).map(Typed::Bytes).with_context(|| {
                format!("key column {name:?} takes bytes, and {text:?} is not 0x and pairs of hexadecimal digits")
            }),
            None => Ok(Typed::Bytes(text.as_bytes().to_vec())),
        },
        ColumnType::String | ColumnType::Text => Ok(Typed::Text(text.to_owned())),
        ColumnType::Decimal => bail!("key column {name:?} is a Decimal, which cannot be in a key"),
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` takes a sign, too.
        let sound = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        sound.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(bytes(""), Some(vec![]));
        assert_eq!(bytes("00fF"), Some(vec![0, 255]));
        for wrong in ["0", "000", "+1", "0g", "é"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
