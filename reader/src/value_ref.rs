//! A value of a row where SQLite holds it, not copied.

use ledger::{Column, ColumnType, Value};
use rusqlite::types::ValueRef as Stored;

/// A value that is borrowed from a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// No value.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Decimal(f64),
    /// Text.
    Text(&'a str),
    /// Bytes, also those of a text that is not UTF-8.
    Bytes(&'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// What SQLite holds, by its storage class. The original ctlstore stored text that has a NUL as bytes.
    #[inline]
    pub(crate) fn of(stored: Stored<'a>, column: &Column) -> Self {
        let text =
            |bytes| std::str::from_utf8(bytes).map_or(ValueRef::Bytes(bytes), ValueRef::Text);
        match stored {
            Stored::Null => ValueRef::Null,
            Stored::Integer(integer) => ValueRef::Integer(integer),
            Stored::Real(number) => ValueRef::Decimal(number),
            Stored::Text(bytes) => text(bytes),
            Stored::Blob(bytes) => match column.column_type {
                ColumnType::String | ColumnType::Text => text(bytes),
                ColumnType::Integer
                | ColumnType::Decimal
                | ColumnType::Binary
                | ColumnType::ByteString => ValueRef::Bytes(bytes),
            },
        }
    }

    /// A copy that can be kept.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => Value::Integer(integer),
            ValueRef::Decimal(number) => Value::Decimal(number),
            ValueRef::Text(text) => Value::Text(text.to_owned()),
            ValueRef::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        }
    }

    /// Its kind, in words for a message.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            ValueRef::Null => "null",
            ValueRef::Integer(_) => "an integer",
            ValueRef::Decimal(_) => "a number",
            ValueRef::Text(_) => "text",
            ValueRef::Bytes(_) => "bytes",
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Decimal(number) => ValueRef::Decimal(*number),
            Value::Text(text) => ValueRef::Text(text),
            Value::Bytes(bytes) => ValueRef::Bytes(bytes),
        }
    }
}
