//! A value as the ledger's text writes it. Both SQLite and MySQL read these forms alike.

use std::fmt;

use crate::Value;

/// A literal. [`Literal::from`] makes the ones that we write; the grammar also reads what only the original wrote.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `NULL`
    Null,
    /// `true` or `false`, which databases store as 1 and 0. Only the original writes them.
    Bool(bool),
    /// `-12`
    Integer(i64),
    /// `0.25`, or a whole number beyond 64 bits. Finite, never in exponent form.
    Real(f64),
    /// `'it''s'`. Never holds a NUL, which SQL text cannot carry.
    Text(String),
    /// `x'00ff'`: bytes, or text that has a NUL.
    Hex(Vec<u8>),
}

impl From<&Value> for Literal {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Literal::Null,
            Value::Integer(integer) => Literal::Integer(*integer),
            Value::Decimal(number) => Literal::from_double(*number),
            Value::Text(text) if text.contains('\0') => Literal::Hex(text.clone().into_bytes()),
            Value::Text(text) => Literal::Text(text.clone()),
            Value::Bytes(bytes) => Literal::Hex(bytes.clone()),
        }
    }
}

impl Literal {
    /// A double is written as the shortest decimal text that reads back as the same double; where that text is a whole
    /// number of 64 bits, it reads back as an integer.
    fn from_double(number: f64) -> Self {
        decimal_text(number).parse().map_or(Literal::Real(number), Literal::Integer)
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => out.write_str("NULL"),
            Literal::Bool(truth) => fmt::Display::fmt(truth, out),
            Literal::Integer(integer) => fmt::Display::fmt(integer, out),
            Literal::Real(number) => out.write_str(&decimal_text(*number)),
            Literal::Text(text) => {
                out.write_str("'")?;
                for (index, part) in text.split('\'').enumerate() {
                    out.write_str(if index == 0 { "" } else { "''" })?;
                    out.write_str(part)?;
                }
                out.write_str("'")
            }
            Literal::Hex(bytes) => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut text = String::with_capacity(bytes.len() * 2);
                for byte in bytes {
                    text.push(DIGITS[usize::from(byte >> 4)].into());
                    text.push(DIGITS[usize::from(byte & 15)].into());
                }
                write!(out, "x'{text}'")
            }
        }
    }
}

/// The shortest decimal text that reads back as the same double, never in exponent form: `10`, `0.1`,
/// `10000000000000000000000000`.
pub(crate) fn decimal_text(number: f64) -> String {
    // Rust's Display is exactly that.
    number.to_string()
}
