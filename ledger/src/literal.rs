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
    /// `0.25`, or a whole number beyond 64 bits. Finite, not negative zero, never in exponent form.
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
    /// number of 64 bits, it reads back as an integer, and databases make the same double of that.
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
            Literal::Real(number) => write_real(out, *number),
            Literal::Text(text) => write_text(out, text),
            Literal::Hex(bytes) => write_hex(out, bytes),
        }
    }
}

/// Nobody writes a whole number of 64 bits as a real, but who does must not read an integer back.
fn write_real(out: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    let text = decimal_text(number);
    out.write_str(&text)?;
    if text.parse::<i64>().is_ok() { out.write_str(".0") } else { Ok(()) }
}

fn write_text(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    out.write_str("'")?;
    for (index, part) in text.split('\'').enumerate() {
        out.write_str(if index == 0 { "" } else { "''" })?;
        out.write_str(part)?;
    }
    out.write_str("'")
}

fn write_hex(out: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut buffer = [0; 128];
    out.write_str("x'")?;
    for chunk in bytes.chunks(buffer.len() / 2) {
        for (pair, byte) in buffer.chunks_exact_mut(2).zip(chunk) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let text = str::from_utf8(&buffer[..chunk.len() * 2]);
        out.write_str(text.expect("BUG: hexadecimal digits are ASCII"))?;
    }
    out.write_str("'")
}

/// The shortest decimal text that reads back as the same double, never in exponent form: `10`, `0.1`,
/// `10000000000000000000000000`.
pub(crate) fn decimal_text(number: f64) -> String {
    // Rust's Display is exactly that.
    number.to_string()
}

#[cfg(test)]
mod tests;
