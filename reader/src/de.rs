//! A row into a type of the application: fields by column name, through serde.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::ValueRef;

/// Why a row does not fit a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    column: Option<String>,
    message: String,
}

impl DecodeError {
    /// The column that does not fit; none when the row as a whole does not.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(out, "column {column:?}: {}", self.message),
            None => out.write_str(&self.message),
        }
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { column: None, message: message.to_string() }
    }
}

/// Reads names and values of columns into a type.
pub(crate) fn decode<'de, T: Deserialize<'de>>(
    columns: impl Iterator<Item = (&'de str, ValueRef<'de>)>,
) -> Result<T, DecodeError> {
    T::deserialize(RowDeserializer(columns))
}

struct RowDeserializer<I>(I);

impl<'de, I: Iterator<Item = (&'de str, ValueRef<'de>)>> Deserializer<'de> for RowDeserializer<I> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(Columns { rest: self.0, value: None })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Columns<'de, I> {
    rest: I,
    value: Option<(&'de str, ValueRef<'de>)>,
}

impl<'de, I: Iterator<Item = (&'de str, ValueRef<'de>)>> MapAccess<'de> for Columns<'de, I> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.value = self.rest.next();
        let Some((name, _)) = self.value else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let (name, value) = self.value.take().expect("BUG: serde asks for a value after its key");
        seed.deserialize(ValueDeserializer(value))
            .map_err(|error| DecodeError { column: Some(name.to_owned()), ..error })
    }
}

#[derive(Clone, Copy)]
struct ValueDeserializer<'a>(ValueRef<'a>);

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            ValueRef::Null => visitor.visit_unit(),
            ValueRef::Integer(integer) => visitor.visit_i64(integer),
            ValueRef::Decimal(number) => visitor.visit_f64(number),
            ValueRef::Text(text) => visitor.visit_borrowed_str(text),
            ValueRef::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.0 == ValueRef::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Columns have no booleans; 0 and 1 stand for them, as in the original.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            ValueRef::Integer(0) => visitor.visit_bool(false),
            ValueRef::Integer(1) => visitor.visit_bool(true),
            ValueRef::Null
            | ValueRef::Integer(_)
            | ValueRef::Decimal(_)
            | ValueRef::Text(_)
            | ValueRef::Bytes(_) => self.deserialize_any(visitor),
        }
    }

    /// `Vec<u8>` asks for a sequence.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            ValueRef::Bytes(bytes) => {
                visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
            }
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Decimal(_) | ValueRef::Text(_) => {
                self.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            ValueRef::Text(text) => {
                BorrowedStrDeserializer::new(text).deserialize_enum(name, variants, visitor)
            }
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Decimal(_) | ValueRef::Bytes(_) => {
                self.deserialize_any(visitor)
            }
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}
