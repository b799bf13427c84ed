//! How a JSON value becomes the value of a column: the original's coercions, without its losses.
//!
//! | column | takes |
//! |---|---|
//! | Integer | a number that is whole and within 64 bits (`10`, `10.0`, `1e1`), `true`/`false` as 1/0, a string that is exactly an integer |
//! | Decimal | a finite number, `true`/`false`, a numeric string |
//! | String, Text | a string, a number (as its shortest decimal text), `true`/`false` as `1`/`0` |
//! | Binary, ByteString | a string of standard base64 with padding; line ends in it are ignored |
//!
//! `null` is a value of every column. Numbers are read from their JSON text, so 64-bit integers survive exactly.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;

use crate::literal::decimal_text;
use crate::{Column, ColumnType, Problem, Value, ValueError};

/// Reads the value of a column from JSON.
///
/// # Errors
/// The value does not fit the column; see the module's table.
pub fn coerce(column: &Column, json: &RawValue) -> Result<Value, ValueError> {
    let refuse = |problem| ValueError {
        column: column.name.clone(),
        column_type: column.column_type,
        problem,
    };
    let value = match Json::read(json.get()) {
        Json::Null => Ok(Value::Null),
        Json::Other(kind) => Err(Problem::Kind(kind)),
        Json::Surrogate => Err(Problem::Surrogate),
        Json::Bool(truth) => from_bool(column.column_type, truth),
        Json::Number(text) => from_number(column.column_type, text),
        Json::String(text) => from_string(column.column_type, text),
    };
    let value = value.map_err(refuse)?;
    value.check(column)?;
    Ok(value)
}

/// Standard base64 with padding. Takes what the original takes: line ends anywhere, and bits that are not zero in the
/// last character.
///
/// # Errors
/// The text is something else.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, Problem> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let folded = |c| c == '\r' || c == '\n';
    let text =
        if text.contains(folded) { text.replace(folded, "").into() } else { Cow::from(text) };
    ENGINE.decode(text.as_bytes()).map_err(|_| Problem::Base64)
}

enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(String),
    /// A string with half of a surrogate pair, which no text can hold.
    Surrogate,
    Other(&'static str),
}

impl<'a> Json<'a> {
    /// The text is legal JSON already; its first character tells what it is.
    fn read(text: &'a str) -> Self {
        match text.as_bytes().first() {
            Some(b'n') => Json::Null,
            Some(b't') => Json::Bool(true),
            Some(b'f') => Json::Bool(false),
            Some(b'[') => Json::Other("an array"),
            Some(b'{') => Json::Other("an object"),
            Some(b'"') => serde_json::from_str(text).map_or(Json::Surrogate, Json::String),
            Some(_) | None => Json::Number(text),
        }
    }
}

fn from_bool(column_type: ColumnType, truth: bool) -> Result<Value, Problem> {
    match column_type {
        ColumnType::Integer => Ok(Value::Integer(truth.into())),
        ColumnType::Decimal => Ok(Value::Decimal(if truth { 1.0 } else { 0.0 })),
        ColumnType::String | ColumnType::Text => Ok(Value::Text(u8::from(truth).to_string())),
        ColumnType::Binary | ColumnType::ByteString => Err(Problem::Kind("true or false")),
    }
}

fn from_number(column_type: ColumnType, text: &str) -> Result<Value, Problem> {
    match column_type {
        ColumnType::Integer => whole(text).map(Value::Integer),
        ColumnType::Decimal => finite(text),
        ColumnType::String | ColumnType::Text => match whole(text) {
            Ok(integer) => Ok(Value::Text(integer.to_string())),
            Err(_) => match finite(text)? {
                Value::Decimal(number) => Ok(Value::Text(decimal_text(number))),
                other => Ok(other),
            },
        },
        ColumnType::Binary | ColumnType::ByteString => Err(Problem::Kind("a number")),
    }
}

fn from_string(column_type: ColumnType, text: String) -> Result<Value, Problem> {
    match column_type {
        ColumnType::String | ColumnType::Text => Ok(Value::Text(text)),
        ColumnType::Binary | ColumnType::ByteString => decode_base64(&text).map(Value::Bytes),
        ColumnType::Integer => integer(&text).map(Value::Integer),
        ColumnType::Decimal => numeric(&text),
    }
}

/// A string that is exactly an integer: no signs, zeros or spaces that the number itself does not have.
fn integer(text: &str) -> Result<i64, Problem> {
    const OTHER: Problem = Problem::Kind("a string that is not exactly an integer");
    let digits = text.strip_prefix('-').unwrap_or(text);
    let exact = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (!digits.starts_with('0') || text == "0");
    if exact { text.parse().map_err(|_| Problem::IntegerRange) } else { Err(OTHER) }
}

/// A string that is a number. Rust would also take `inf` and `nan`, but those are no numbers.
fn numeric(text: &str) -> Result<Value, Problem> {
    const OTHER: Problem = Problem::Kind("a string that is not a number");
    let signs = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number = if text.bytes().all(signs) { text.parse().map_err(|_| OTHER) } else { Err(OTHER) };
    Value::decimal(number?).ok_or(Problem::NotFinite)
}

fn finite(text: &str) -> Result<Value, Problem> {
    text.parse().ok().and_then(Value::decimal).ok_or(Problem::NotFinite)
}

/// The whole number that a JSON number is, whatever its form: `10`, `10.0`, `1e1`, `100e-1`.
fn whole(text: &str) -> Result<i64, Problem> {
    if let Ok(integer) = text.parse() {
        return Ok(integer);
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{before}{after}");
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    // An exponent beyond 64 bits is as good as the last one that fits.
    let limit = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let exponent: i64 = exponent.parse().unwrap_or(limit);
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    // The number is `significant` followed by this many zeros.
    let zeros =
        exponent.saturating_sub(length(after)).saturating_add(length(&all) - length(significant));
    match usize::try_from(zeros) {
        Err(_) => Err(Problem::Fraction),
        Ok(zeros) if zeros > 19 => Err(Problem::IntegerRange),
        Ok(zeros) => {
            let text = format!("{sign}{significant}{}", "0".repeat(zeros));
            text.parse().map_err(|_| Problem::IntegerRange)
        }
    }
}

#[cfg(test)]
mod tests;
