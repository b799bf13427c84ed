//! Rows and keys: values that were checked against their table.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{Column, ColumnName, Problem, TableSchema, Value, ValueError, coerce};

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
        Ok(Self(values.into_iter().map(Value::normal).collect()))
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

fn read(column: &Column, json: &BTreeMap<ColumnName, &RawValue>) -> Result<Value, ValueError> {
    match json.get(&column.name) {
        Some(raw) => coerce(column, raw),
        None => Err(ValueError {
            column: column.name.clone(),
            column_type: column.column_type,
            problem: Problem::Missing,
        }),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::table;

    const TABLE: &str = "v:Text a:Integer b:ByteString d:Decimal key(b,a)";

    /// The object as the values of columns by name.
    fn read<T>(
        json: &str,
        make: impl Fn(&TableSchema, &BTreeMap<ColumnName, &RawValue>) -> Result<T, ValueError>,
    ) -> Result<T, ValueError> {
        let json: BTreeMap<ColumnName, &RawValue> = serde_json::from_str(json).unwrap();
        make(&table(TABLE).unwrap(), &json)
    }

    fn check_row(json: &str, expected: &Expect) {
        expected.assert_eq(&match read(json, Row::from_json) {
            Ok(row) => format!("{:?}", row.values()),
            Err(error) => error.to_string(),
        });
    }

    fn check_key(json: &str, expected: &Expect) {
        expected.assert_eq(&match read(json, Key::from_json) {
            Ok(key) => format!("{:?}", key.values()),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn a_row_has_a_value_for_each_column_in_their_order() {
        check_row(
            r#"{"d":1,"a":2,"b":"AQI=","v":"x"}"#,
            &expect![[r#"[Text("x"), Integer(2), Bytes([1, 2]), Decimal(1.0)]"#]],
        );
        check_row(
            r#"{"d":null,"a":2,"b":"","v":null}"#,
            &expect!["[Null, Integer(2), Bytes([]), Null]"],
        );
        check_row(
            r#"{"d":1,"a":2,"b":"AQI=","v":"x","other":[1]}"#,
            &expect![[r#"[Text("x"), Integer(2), Bytes([1, 2]), Decimal(1.0)]"#]],
        );
        check_row(
            r#"{"a":2,"b":"AQI=","v":"x"}"#,
            &expect![[
                r#"column "d" (Decimal): missing, send a value (null is one, except in a key)"#
            ]],
        );
        check_row(
            r#"{"d":"x","a":2,"b":"AQI=","v":"x"}"#,
            &expect![[
                r#"column "d" (Decimal): a string that is not a number is not possible here, send a number"#
            ]],
        );
        check_row(
            r#"{"d":1,"a":null,"b":"AQI=","v":"x"}"#,
            &expect![[r#"column "a" (Integer): a key column cannot be null, send a value"#]],
        );
        check_row(
            "{}",
            &expect![[
                r#"column "v" (Text): missing, send a value (null is one, except in a key)"#
            ]],
        );
    }

    #[test]
    fn a_key_has_a_value_for_each_key_column_in_the_keys_order() {
        check_key(r#"{"a":2,"b":"AQI="}"#, &expect!["[Bytes([1, 2]), Integer(2)]"]);
        check_key(r#"{"a":2,"b":"AQI=","v":[]}"#, &expect!["[Bytes([1, 2]), Integer(2)]"]);
        check_key(
            r#"{"a":2}"#,
            &expect![[
                r#"column "b" (ByteString): missing, send a value (null is one, except in a key)"#
            ]],
        );
        check_key(
            r#"{"a":2,"b":null}"#,
            &expect![[r#"column "b" (ByteString): a key column cannot be null, send a value"#]],
        );
        check_key(
            r#"{"a":2.5,"b":""}"#,
            &expect![[r#"column "a" (Integer): not a whole number, send one without a fraction"#]],
        );
    }

    #[test]
    fn values_are_checked_in_order_of_the_columns() {
        let schema = table(TABLE).unwrap();
        let values =
            vec![Value::Null, Value::Integer(1), Value::Bytes(vec![2]), Value::Decimal(-0.0)];
        let row = Row::new(&schema, values.clone()).unwrap();
        assert!(matches!(row.values()[3], Value::Decimal(zero) if zero.is_sign_positive()));
        assert_eq!(row.key(&schema).values(), [Value::Bytes(vec![2]), Value::Integer(1)]);
        let refusal = Row::new(&schema, values[..2].to_vec()).unwrap_err();
        assert_eq!((refusal.column.as_str(), refusal.problem), ("b", Problem::Missing));
        let refusal = Key::new(&schema, vec![Value::Integer(1)]).unwrap_err();
        assert_eq!(refusal.column.as_str(), "b");
        let refusal = Key::new(&schema, vec![Value::Bytes(vec![])]).unwrap_err();
        assert_eq!((refusal.column.as_str(), refusal.problem), ("a", Problem::Missing));
    }
}
