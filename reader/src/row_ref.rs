//! A row where SQLite holds it, not copied.

use std::sync::Arc;

use ledger::{Column, TableSchema};
use serde::Deserialize;

use crate::schema::foreign;
use crate::statement::Cursor;
use crate::{Error, ResumeKey, Row, ValueRef};

/// A row that is borrowed for as long as a call of [`Family::with_row`](crate::Family::with_row) or
/// [`View::each`](crate::View::each) lends it. Columns go by their place, in the order of
/// [`Family::schema`](crate::Family::schema).
#[derive(Debug, Clone, Copy)]
pub struct RowRef<'a> {
    cursor: &'a Cursor<'a>,
    schema: &'a Arc<TableSchema>,
    key: &'a [(usize, Column)],
}

impl<'a> RowRef<'a> {
    pub(crate) fn new(
        cursor: &'a Cursor<'a>,
        schema: &'a Arc<TableSchema>,
        key: &'a [(usize, Column)],
    ) -> Self {
        Self { cursor, schema, key }
    }

    /// The table's columns and key.
    #[must_use]
    pub fn schema(&self) -> &'a TableSchema {
        self.schema
    }

    /// The value of a column by its place.
    ///
    /// # Errors
    /// There is no such column.
    #[inline]
    pub fn value(&self, place: usize) -> Result<ValueRef<'a>, Error> {
        match self.schema.columns().get(place) {
            Some(column) => Ok(ValueRef::of(self.cursor.value(place), column)),
            None => Err(self.wrong(place, "a column", "none there")),
        }
    }

    /// The value of a column by its name; none if the table has no such column.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        let place = self.schema.columns().iter().position(|column| column.name.as_str() == name)?;
        self.value(place).ok()
    }

    /// The text of a column.
    ///
    /// # Errors
    /// There is no such column, or no text in it; null is none.
    #[inline]
    pub fn str(&self, place: usize) -> Result<&'a str, Error> {
        match self.value(place)? {
            ValueRef::Text(text) => Ok(text),
            other => Err(self.wrong(place, "text", other.kind())),
        }
    }

    /// The bytes of a column; those of a text are its UTF-8.
    ///
    /// # Errors
    /// There is no such column, or neither bytes nor text in it.
    pub fn bytes(&self, place: usize) -> Result<&'a [u8], Error> {
        match self.value(place)? {
            ValueRef::Bytes(bytes) => Ok(bytes),
            ValueRef::Text(text) => Ok(text.as_bytes()),
            other => Err(self.wrong(place, "bytes", other.kind())),
        }
    }

    /// The integer of a column.
    ///
    /// # Errors
    /// There is no such column, or no integer in it.
    #[inline]
    pub fn integer(&self, place: usize) -> Result<i64, Error> {
        match self.value(place)? {
            ValueRef::Integer(integer) => Ok(integer),
            other => Err(self.wrong(place, "an integer", other.kind())),
        }
    }

    /// The number of a column.
    ///
    /// # Errors
    /// There is no such column, or no number with a fraction in it: an integer is one only as [`RowRef::integer`].
    pub fn decimal(&self, place: usize) -> Result<f64, Error> {
        match self.value(place)? {
            ValueRef::Decimal(number) => Ok(number),
            other => Err(self.wrong(place, "a number", other.kind())),
        }
    }

    /// A copy that can be kept.
    #[must_use]
    pub fn to_row(&self) -> Row {
        let columns = self.schema.columns().iter().enumerate();
        let values = columns
            .map(|(place, column)| ValueRef::of(self.cursor.value(place), column).to_value());
        Row::new(self.schema.clone(), values.collect())
    }

    /// Reads it into a type, as [`Family::get`](crate::Family::get) does; its fields may borrow from the row.
    ///
    /// # Errors
    /// A column does not fit its field, or a field has no column.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        let (cursor, columns) = (self.cursor, self.schema.columns().iter().enumerate());
        let columns = columns.map(|(place, column)| {
            (column.name.as_str(), ValueRef::of(cursor.value(place), column))
        });
        crate::de::decode(columns)
            .map_err(|source| Error::Decode { table: self.schema.table().clone(), source })
    }

    /// Its key, to go on after it.
    ///
    /// # Errors
    /// The key has a null in it, which ctlstore never writes.
    pub fn resume_key(&self) -> Result<ResumeKey, Error> {
        let values = self.key.iter().map(|(place, _)| self.cursor.value(*place));
        let key = ResumeKey::of(values);
        key.ok_or_else(|| foreign(self.schema.table(), "a key has a null".to_owned()))
    }

    #[cold]
    fn wrong(&self, place: usize, wants: &'static str, got: &'static str) -> Error {
        let columns = self.schema.columns();
        let name = columns.get(place).map(|column| column.name.to_string());
        Error::ColumnValue {
            table: self.schema.table().clone(),
            column: name.unwrap_or_else(|| place.to_string()),
            wants,
            got,
        }
    }
}
