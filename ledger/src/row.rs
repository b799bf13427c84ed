//! Rows and keys: values that were checked against their table.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{ColumnName, Problem, TableSchema, Value, ValueError, coerce};

/// A whole row: a value for each column, in the columns' order.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(Vec<Value>);

/// A key: a value for each key column, in the key's order; none is null.
#[derive(Debug, Clone, PartialEq)]
pub struct Key(Vec<Value>);

impl Row {
    /// Checks values that are in the columns' order.
    ///
    /// # Errors
    /// A value does not fit its column, or there are fewer values than columns. More values than columns are a bug.
    pub fn new(schema: &TableSchema, values: Vec<Value>) -> Result<Self, ValueError> {
        assert!(values.len() <= schema.columns().len(), "BUG: more values than columns");
        for (index, column) in schema.columns().iter().enumerate() {
            let refuse = |problem| ValueError {
                column: column.name.clone(),
                column_type: column.column_type,
                problem,
            };
            let value = values.get(index).ok_or_else(|| refuse(Problem::Missing))?;
            value.check(column)?;
            if value.is_null() && schema.key().contains(&column.name) {
                return Err(refuse(Problem::NullKey));
            }
        }
        Ok(Self(values))
    }

    /// Reads a row from JSON by column name. Values of other names are ignored.
    ///
    /// # Errors
    /// A column is missing or its value does not fit.
    pub fn from_json(
        schema: &TableSchema,
        json: &BTreeMap<ColumnName, &RawValue>,
    ) -> Result<Self, ValueError> {
        let values =
            schema.columns().iter().map(|column| read(column, json)).collect::<Result<_, _>>()?;
        Self::new(schema, values)
    }

    /// The values, in the columns' order.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    /// The key of this row.
    #[must_use]
    pub fn key(&self, schema: &TableSchema) -> Key {
        let value = |name: &ColumnName| {
            let index = schema.columns().iter().position(|column| column.name == *name);
            self.0[index.expect("BUG: a schema's key names its columns")].clone()
        };
        Key(schema.key().iter().map(value).collect())
    }
}

impl Key {
    /// Checks values that are in the key's order.
    ///
    /// # Errors
    /// A value does not fit its column, is null, or is missing. More values than key columns are a bug.
    pub fn new(schema: &TableSchema, values: Vec<Value>) -> Result<Self, ValueError> {
        assert!(values.len() <= schema.key().len(), "BUG: more values than key columns");
        for (index, column) in schema.key_columns().enumerate() {
            let refuse = |problem| ValueError {
                column: column.name.clone(),
                column_type: column.column_type,
                problem,
            };
            let value = values.get(index).ok_or_else(|| refuse(Problem::Missing))?;
            value.check(column)?;
            if value.is_null() {
                return Err(refuse(Problem::NullKey));
            }
        }
        Ok(Self(values))
    }

    /// Reads a key from JSON by column name. Values of other names are ignored.
    ///
    /// # Errors
    /// A key column is missing or its value does not fit.
    pub fn from_json(
        schema: &TableSchema,
        json: &BTreeMap<ColumnName, &RawValue>,
    ) -> Result<Self, ValueError> {
        let values =
            schema.key_columns().map(|column| read(column, json)).collect::<Result<_, _>>()?;
        Self::new(schema, values)
    }

    /// The values, in the key's order.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

fn read(
    column: &crate::Column,
    json: &BTreeMap<ColumnName, &RawValue>,
) -> Result<Value, ValueError> {
    match json.get(&column.name) {
        Some(raw) => coerce(column, raw),
        None => Err(ValueError {
            column: column.name.clone(),
            column_type: column.column_type,
            problem: Problem::Missing,
        }),
    }
}
