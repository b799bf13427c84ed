//! How a JSON value becomes the value of a column: the original's coercions, without its losses.
//!
//! | column | takes |
//! |---|---|
//! | Integer | a number that is whole and within 64 bits (`10`, `10.0`, `1e1`), `true`/`false` as 1/0, a string that is exactly an integer |
//! | Decimal | a finite number, `true`/`false`, a numeric string |
//! | String, Text | a string, a number (as its shortest decimal text), `true`/`false` as `1`/`0` |
//! | Binary, ByteString | a string of standard base64 with padding |
//!
//! `null` is a value of every column. Numbers are read from their JSON text, so 64-bit integers survive exactly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
        Json::Bool(truth) => from_bool(column.column_type, truth),
        Json::Number(text) => from_number(column.column_type, text),
        Json::String(text) => from_string(column.column_type, text),
    };
    let value = value.map_err(refuse)?;
    value.check(column)?;
    Ok(value)
}

/// Standard base64 with padding.
///
/// # Errors
/// The text is something else.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, Problem> {
    STANDARD.decode(text).map_err(|_| Problem::Base64)
}

enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(String),
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
            Some(b'"') => {
                serde_json::from_str(text).map_or(Json::Other("a broken string"), Json::String)
            }
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
        ColumnType::Integer => match text.parse::<i64>() {
            Ok(integer) if integer.to_string() == text => Ok(Value::Integer(integer)),
            Ok(_) | Err(_) => Err(Problem::Kind("a string that is not exactly an integer")),
        },
        // Rust would also take "inf" and "nan"; a number begins with a sign, a digit or a point and has no such words.
        ColumnType::Decimal
            if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) =>
        {
            finite(&text).map_err(|_| Problem::Kind("a string that is not a number"))
        }
        ColumnType::Decimal => Err(Problem::Kind("a string that is not a number")),
    }
}

fn finite(text: &str) -> Result<Value, Problem> {
    text.parse().ok().and_then(Value::decimal).ok_or(Problem::NotFinite)
}

/// The whole number that a JSON number is, whatever its form: `10`, `10.0`, `1e1`, `100e-1`.
fn whole(text: &str) -> Result<i64, Problem> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{before}{after}");
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    let exponent: i64 =
        exponent.trim_start_matches('+').parse().map_err(|_| Problem::IntegerRange)?;
    let dropped =
        i64::try_from(all.len() - significant.len()).map_err(|_| Problem::IntegerRange)?;
    let fraction = i64::try_from(after.len()).map_err(|_| Problem::IntegerRange)?;
    // The number is `significant` followed by this many zeros.
    let zeros = exponent.saturating_sub(fraction).saturating_add(dropped);
    match usize::try_from(zeros) {
        Err(_) => Err(Problem::Fraction),
        Ok(zeros) if zeros > 19 => Err(Problem::IntegerRange),
        Ok(zeros) => {
            let text = format!("{sign}{significant}{}", "0".repeat(zeros));
            text.parse().map_err(|_| Problem::IntegerRange)
        }
    }
}
