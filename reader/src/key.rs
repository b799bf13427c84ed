//! Values of a key, as a program gives them.

use ledger::{Column, ColumnType, LdbTable};
use rusqlite::types::ValueRef;

use crate::Error;

/// A value of a key column. Made from `&str`, `i64`, `i32`, `u32` and `&[u8]` with `into()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyValue<'a> {
    /// Of a String column; a ByteString column takes it as its UTF-8 bytes.
    Text(&'a str),
    /// Of an Integer column.
    Integer(i64),
    /// Of a ByteString column.
    Bytes(&'a [u8]),
}

impl KeyValue<'_> {
    /// May it stand in this column?
    #[inline]
    pub(crate) fn check(&self, table: &LdbTable, column: &Column) -> Result<(), Error> {
        let fits = match self {
            KeyValue::Text(_) => column.column_type != ColumnType::Integer,
            KeyValue::Integer(_) => column.column_type == ColumnType::Integer,
            KeyValue::Bytes(_) => column.column_type.is_bytes(),
        };
        if fits {
            return Ok(());
        }
        Err(Error::KeyType {
            table: table.clone(),
            column: column.name.clone(),
            column_type: column.column_type,
            got: match self {
                KeyValue::Text(_) => "text",
                KeyValue::Integer(_) => "an integer",
                KeyValue::Bytes(_) => "bytes",
            },
        })
    }

    /// As this column stores it.
    #[inline]
    pub(crate) fn stored(&self, column: &Column) -> ValueRef<'_> {
        match self {
            KeyValue::Text(text) if column.column_type.is_bytes() => {
                ValueRef::Blob(text.as_bytes())
            }
            KeyValue::Text(text) => ValueRef::Text(text.as_bytes()),
            KeyValue::Integer(integer) => ValueRef::Integer(*integer),
            KeyValue::Bytes(bytes) => ValueRef::Blob(bytes),
        }
    }
}

impl<'a> From<&'a str> for KeyValue<'a> {
    fn from(text: &'a str) -> Self {
        KeyValue::Text(text)
    }
}

impl<'a> From<&'a String> for KeyValue<'a> {
    fn from(text: &'a String) -> Self {
        KeyValue::Text(text)
    }
}

impl<'a> From<&'a [u8]> for KeyValue<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        KeyValue::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for KeyValue<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        KeyValue::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for KeyValue<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        KeyValue::Bytes(bytes)
    }
}

impl From<i64> for KeyValue<'_> {
    fn from(integer: i64) -> Self {
        KeyValue::Integer(integer)
    }
}

impl From<i32> for KeyValue<'_> {
    fn from(integer: i32) -> Self {
        KeyValue::Integer(integer.into())
    }
}

impl From<u32> for KeyValue<'_> {
    fn from(integer: u32) -> Self {
        KeyValue::Integer(integer.into())
    }
}
