//! Values of keys as requests have them: typed in a path, or as JSON in a body.

use ledger::{Column, ColumnType, TableSchema};
use reader::KeyValue;
use serde_json::Value;

use crate::read_api::error::{Code, Error};

/// A value of a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
    /// Equal to no value of the column, so there is no row. Only the original's routes take one.
    Nothing,
}

/// The values of a path, each as its column wants it: bytes as text, or as `0x` and hexadecimal digits. Too few or too
/// many, the reader refuses.
pub(crate) fn typed(schema: &TableSchema, segments: &[String]) -> Result<Vec<Part>, Error> {
    let columns = schema.key_columns().map(Some).chain(std::iter::repeat(None));
    let part = |(text, column): (&String, Option<&Column>)| match column {
        None => Ok(Part::Text(text.clone())),
        Some(column) => typed_part(column, text),
    };
    segments.iter().zip(columns).map(part).collect()
}

/// The values of a key in a body, each as answers have it: bytes in base64, integers as numbers or as strings.
pub(crate) fn json(schema: &TableSchema, values: &[Value]) -> Result<Vec<Part>, Error> {
    let columns = schema.key_columns().map(Some).chain(std::iter::repeat(None));
    let part = |(value, column): (&Value, Option<&Column>)| match column {
        // One too many, which the reader refuses.
        None => Ok(Part::Text(String::new())),
        Some(column) => json_part(column, value),
    };
    values.iter().zip(columns).map(part).collect()
}

/// As the reader takes them; none when no row can have them.
pub(crate) fn values(key: &[Part]) -> Option<Vec<KeyValue<'_>>> {
    key.iter().map(Part::value).collect()
}

impl Part {
    fn value(&self) -> Option<KeyValue<'_>> {
        match self {
            Part::Text(text) => Some(KeyValue::Text(text)),
            Part::Integer(integer) => Some(KeyValue::Integer(*integer)),
            Part::Bytes(bytes) => Some(KeyValue::Bytes(bytes)),
            Part::Nothing => None,
        }
    }
}

fn typed_part(column: &Column, text: &str) -> Result<Part, Error> {
    match column.column_type {
        ColumnType::Integer => text.parse().map(Part::Integer).map_err(|_| wrong(column, text)),
        ColumnType::ByteString | ColumnType::Binary => match text.strip_prefix("0x") {
            Some(digits) => hex(digits).map(Part::Bytes).ok_or_else(|| wrong(column, text)),
            None => Ok(Part::Bytes(text.as_bytes().to_vec())),
        },
        ColumnType::String | ColumnType::Text | ColumnType::Decimal => {
            Ok(Part::Text(text.to_owned()))
        }
    }
}

fn json_part(column: &Column, value: &Value) -> Result<Part, Error> {
    let refuse = || wrong(column, &value.to_string());
    match (column.column_type, value) {
        (ColumnType::Integer, Value::Number(number)) => {
            number.as_i64().map(Part::Integer).ok_or_else(refuse)
        }
        (ColumnType::Integer, Value::String(text)) => {
            text.parse().map(Part::Integer).map_err(|_| refuse())
        }
        (ColumnType::ByteString | ColumnType::Binary, Value::String(text)) => {
            ledger::decode_base64(text).map(Part::Bytes).map_err(|_| refuse())
        }
        (ColumnType::String | ColumnType::Text, Value::String(text)) => {
            Ok(Part::Text(text.clone()))
        }
        _ => Err(refuse()),
    }
}

fn wrong(column: &Column, got: &str) -> Error {
    let wants = match column.column_type {
        ColumnType::Integer => "a whole number of 64 bits",
        ColumnType::ByteString | ColumnType::Binary => {
            "bytes: text or 0x and pairs of hexadecimal digits in a path, base64 in a body"
        }
        ColumnType::String | ColumnType::Text | ColumnType::Decimal => "text",
    };
    let text = format!("key column {:?} takes {wants}, not {got}", column.name.as_str());
    Error::new(Code::KeyInvalid, text).field("key")
}

fn hex(digits: &str) -> Option<Vec<u8>> {
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
    use ledger::{ColumnName, LdbTable};
    use serde_json::json as value;

    use super::*;

    fn schema() -> TableSchema {
        let columns =
            [("s", ColumnType::String), ("n", ColumnType::Integer), ("b", ColumnType::ByteString)];
        let columns: Vec<_> = columns
            .map(|(name, column_type)| Column {
                name: ColumnName::parse(name).unwrap(),
                column_type,
            })
            .into();
        let key = columns.iter().map(|column| column.name.clone()).collect();
        TableSchema::new(LdbTable::parse("fam___tab").unwrap(), columns, key).unwrap()
    }

    #[test]
    fn a_path_and_a_body_name_the_same_key() {
        let want =
            vec![Part::Text("a b".into()), Part::Integer(i64::MIN), Part::Bytes(vec![0, 255])];
        let path = ["a b", "-9223372036854775808", "0x00fF"].map(str::to_owned);
        assert_eq!(typed(&schema(), &path).unwrap(), want);
        for number in [value!(i64::MIN), value!("-9223372036854775808")] {
            assert_eq!(json(&schema(), &[value!("a b"), number, value!("AP8=")]).unwrap(), want);
        }
    }

    #[test]
    fn a_value_of_another_kind_names_its_column() {
        let check = |refused: Result<Vec<Part>, Error>, words: &str| {
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::KeyInvalid);
            assert!(refused.to_string().contains(words), "{refused}");
        };
        let path = |parts: [&str; 3]| typed(&schema(), &parts.map(str::to_owned));
        check(path(["a", "x", "b"]), "key column \"n\" takes a whole number of 64 bits, not x");
        check(path(["a", "1", "0x0"]), "key column \"b\" takes bytes");
        let body = |values: Value| json(&schema(), values.as_array().unwrap());
        check(body(value!([1])), "key column \"s\" takes text, not 1");
        check(body(value!(["a", 1.5])), "not 1.5");
        check(body(value!(["a", 9_223_372_036_854_775_808_u64])), "64 bits");
        check(body(value!(["a", null])), "not null");
        check(body(value!(["a", 1, "?"])), "base64");
    }
}
