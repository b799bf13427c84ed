//! A value of a column, checked: it is what ctldb binds, what the ledger's text says and what the LDB holds.

use std::fmt;

use crate::{Column, ColumnName, ColumnType};

/// The most characters of a String.
pub const MAX_STRING_CHARACTERS: usize = 191;
/// The most bytes of a ByteString.
pub const MAX_BYTE_STRING_BYTES: usize = 255;
/// The most bytes of a Text or a Binary: what MEDIUMTEXT and MEDIUMBLOB take.
pub const MAX_LARGE_BYTES: usize = 16_777_215;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// Of an Integer column.
    Integer(i64),
    /// Of a Decimal column: finite, and never negative zero, which SQL text cannot carry.
    Decimal(f64),
    /// Of a String or Text column.
    Text(String),
    /// Of a Binary or ByteString column.
    Bytes(Vec<u8>),
}

/// A value was refused: for which column, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueError {
    /// The column.
    pub column: ColumnName,
    /// Its type.
    pub column_type: ColumnType,
    /// What is the matter.
    pub problem: Problem,
}

/// What is the matter with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// JSON of another kind: an array, an object, a string for a number. Holds what came, in a word.
    Kind(&'static str),
    /// Not a whole number.
    Fraction,
    /// A whole number beyond 64 bits.
    IntegerRange,
    /// Not a number, infinite, or too large for a double.
    NotFinite,
    /// Not base64.
    Base64,
    /// A string with half of a surrogate pair (`\\ud83d`), which no text can hold.
    Surrogate,
    /// More than this many characters.
    TooManyCharacters(usize),
    /// More than this many bytes.
    TooManyBytes(usize),
    /// A key column has no value.
    NullKey,
    /// The column is not among the values.
    Missing,
}

impl fmt::Display for ValueError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "column {:?} ({}): ", self.column.as_str(), self.column_type)?;
        match self.problem {
            Problem::Kind(kind) => {
                let wanted = match self.column_type {
                    ColumnType::String | ColumnType::Text => "a string",
                    ColumnType::Integer => "a whole number",
                    ColumnType::Decimal => "a number",
                    ColumnType::Binary | ColumnType::ByteString => "a base64 string",
                };
                write!(out, "{kind} is not possible here, send {wanted}")
            }
            Problem::Fraction => out.write_str("not a whole number, send one without a fraction"),
            Problem::IntegerRange => {
                write!(out, "beyond 64 bits, send a number from {} to {}", i64::MIN, i64::MAX)
            }
            Problem::NotFinite => {
                out.write_str("not a finite double, send a number up to 1.7976931348623157e308")
            }
            Problem::Base64 => {
                out.write_str("not standard base64 with padding, encode the bytes so")
            }
            Problem::Surrogate => {
                out.write_str("half of a surrogate pair, send both halves or the character itself")
            }
            Problem::TooManyCharacters(max) => {
                write!(out, "more than {max} characters, shorten it or use a Text column")
            }
            Problem::TooManyBytes(max) => write!(out, "more than {max} bytes, shorten it"),
            Problem::NullKey => out.write_str("a key column cannot be null, send a value"),
            Problem::Missing => {
                out.write_str("missing, send a value (null is one, except in a key)")
            }
        }
    }
}

impl std::error::Error for ValueError {}

impl Value {
    /// May this value stand in this column? Kind, length, range.
    ///
    /// # Errors
    /// What is the matter with it.
    pub fn check(&self, column: &Column) -> Result<(), ValueError> {
        let refuse = |problem| {
            Err(ValueError {
                column: column.name.clone(),
                column_type: column.column_type,
                problem,
            })
        };
        match (self, column.column_type) {
            (Value::Null, _) | (Value::Integer(_), ColumnType::Integer) => Ok(()),
            (Value::Decimal(number), ColumnType::Decimal) if number.is_finite() => Ok(()),
            (Value::Decimal(_), ColumnType::Decimal) => refuse(Problem::NotFinite),
            (Value::Text(text), ColumnType::String)
                if text.chars().count() > MAX_STRING_CHARACTERS =>
            {
                refuse(Problem::TooManyCharacters(MAX_STRING_CHARACTERS))
            }
            (Value::Text(text), ColumnType::Text) if text.len() > MAX_LARGE_BYTES => {
                refuse(Problem::TooManyBytes(MAX_LARGE_BYTES))
            }
            (Value::Text(_), ColumnType::String | ColumnType::Text) => Ok(()),
            (Value::Bytes(bytes), ColumnType::ByteString)
                if bytes.len() > MAX_BYTE_STRING_BYTES =>
            {
                refuse(Problem::TooManyBytes(MAX_BYTE_STRING_BYTES))
            }
            (Value::Bytes(bytes), ColumnType::Binary) if bytes.len() > MAX_LARGE_BYTES => {
                refuse(Problem::TooManyBytes(MAX_LARGE_BYTES))
            }
            (Value::Bytes(_), ColumnType::Binary | ColumnType::ByteString) => Ok(()),
            (Value::Integer(_) | Value::Decimal(_), _) => refuse(Problem::Kind("a number")),
            (Value::Text(_), _) => refuse(Problem::Kind("text")),
            (Value::Bytes(_), _) => refuse(Problem::Kind("a byte string")),
        }
    }

    /// A finite double as a value: negative zero becomes zero. None when it is not finite.
    #[must_use]
    pub fn decimal(number: f64) -> Option<Self> {
        // Adding zero turns -0.0 into 0.0 and leaves everything else as it is.
        number.is_finite().then_some(Self::Decimal(number + 0.0))
    }

    /// Itself, except that negative zero becomes zero.
    pub(crate) fn normal(self) -> Self {
        match self {
            Value::Decimal(number) => Value::Decimal(number + 0.0),
            Value::Null | Value::Integer(_) | Value::Text(_) | Value::Bytes(_) => self,
        }
    }

    /// Is it no value?
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// For each type, in the order of [`ColumnType::ALL`]: does it take the value?
    fn check(value: &Value, expected: [bool; 6]) {
        let takes = |column_type| {
            let name = ColumnName::parse("v").unwrap();
            value.check(&Column { name, column_type }).is_ok()
        };
        assert_eq!(ColumnType::ALL.map(takes), expected, "{value:?}");
    }

    fn message(value: &Value, column_type: ColumnType, expected: &Expect) {
        let column = Column { name: ColumnName::parse("v").unwrap(), column_type };
        expected.assert_eq(&value.check(&column).unwrap_err().to_string());
    }

    #[test]
    fn a_value_fits_columns_of_its_kind_only() {
        const O: bool = false;
        const I: bool = true;
        // String, Integer, Decimal, Text, Binary, ByteString
        check(&Value::Null, [I, I, I, I, I, I]);
        check(&Value::Integer(1), [O, I, O, O, O, O]);
        check(&Value::Decimal(1.0), [O, O, I, O, O, O]);
        check(&Value::Text("a".to_owned()), [I, O, O, I, O, O]);
        check(&Value::Bytes(vec![1]), [O, O, O, O, I, I]);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            check(&Value::Decimal(number), [O; 6]);
        }
    }

    #[test]
    fn lengths_are_bounded_to_the_byte_and_the_character() {
        const O: bool = false;
        const I: bool = true;
        check(&Value::Text("😀".repeat(191)), [I, O, O, I, O, O]);
        check(&Value::Text("a".repeat(192)), [O, O, O, I, O, O]);
        // 16,777,215 bytes are 5,592,405 characters of three bytes each.
        check(&Value::Text("日".repeat(5_592_405)), [O, O, O, I, O, O]);
        check(&Value::Text("日".repeat(5_592_405) + "a"), [O; 6]);
        check(&Value::Bytes(vec![0; 255]), [O, O, O, O, I, I]);
        check(&Value::Bytes(vec![0; 256]), [O, O, O, O, I, O]);
        check(&Value::Bytes(vec![0; 16_777_215]), [O, O, O, O, I, O]);
        check(&Value::Bytes(vec![0; 16_777_216]), [O; 6]);
    }

    #[test]
    fn a_refusal_names_column_type_and_cure() {
        message(
            &Value::Integer(1),
            ColumnType::String,
            &expect![[r#"column "v" (String): a number is not possible here, send a string"#]],
        );
        message(
            &Value::Decimal(1.0),
            ColumnType::Integer,
            &expect![[
                r#"column "v" (Integer): a number is not possible here, send a whole number"#
            ]],
        );
        message(
            &Value::Text(String::new()),
            ColumnType::Decimal,
            &expect![[r#"column "v" (Decimal): text is not possible here, send a number"#]],
        );
        message(
            &Value::Bytes(vec![]),
            ColumnType::Text,
            &expect![[r#"column "v" (Text): a byte string is not possible here, send a string"#]],
        );
        message(
            &Value::Text(String::new()),
            ColumnType::ByteString,
            &expect![[
                r#"column "v" (ByteString): text is not possible here, send a base64 string"#
            ]],
        );
        message(
            &Value::Decimal(f64::NAN),
            ColumnType::Decimal,
            &expect![[
                r#"column "v" (Decimal): not a finite double, send a number up to 1.7976931348623157e308"#
            ]],
        );
        message(
            &Value::Text("a".repeat(192)),
            ColumnType::String,
            &expect![[
                r#"column "v" (String): more than 191 characters, shorten it or use a Text column"#
            ]],
        );
        message(
            &Value::Bytes(vec![0; 256]),
            ColumnType::ByteString,
            &expect![[r#"column "v" (ByteString): more than 255 bytes, shorten it"#]],
        );
    }

    #[test]
    fn a_decimal_is_finite_and_never_negative_zero() {
        assert_eq!(Value::decimal(f64::NAN), None);
        assert_eq!(Value::decimal(f64::NEG_INFINITY), None);
        let Some(Value::Decimal(zero)) = Value::decimal(-0.0) else { panic!("no decimal") };
        assert!(zero.is_sign_positive());
        assert_eq!(Value::decimal(-5e-324), Some(Value::Decimal(-5e-324)));
    }
}
