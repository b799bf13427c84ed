//! Keys as the original's sidecar takes them: `{"Key":[{"Value":1},{"Binary":"AP8="}]}`. Names in any case. A value of
//! another kind than its column is converted as SQLite would when it compares.

use ledger::{Column, TableSchema};
use serde_json::{Map, Number, Value};

use crate::read_api::key::Part;

/// A body that holds no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("the body is not JSON")]
    Json(#[source] serde_json::Error),
    #[error("the body is not of the form {{\"Key\":[{{\"Value\":1}},{{\"Binary\":\"AP8=\"}}]}}")]
    Shape,
    #[error("\"Binary\" is not standard base64 with padding")]
    Base64,
}

/// Reads the key of a request.
pub(super) fn read(schema: &TableSchema, body: &[u8]) -> Result<Vec<Part>, KeyError> {
    let body: Value = serde_json::from_slice(body).map_err(KeyError::Json)?;
    let parts = match field(body.as_object().ok_or(KeyError::Shape)?, "key") {
        None | Some(Value::Null) => &Vec::new(),
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(KeyError::Shape),
    };
    let columns = schema.key_columns().map(Some).chain(std::iter::repeat(None));
    parts.iter().zip(columns).map(|(part, column)| read_part(part, column)).collect()
}

fn read_part(part: &Value, column: Option<&Column>) -> Result<Part, KeyError> {
    let part = part.as_object().ok_or(KeyError::Shape)?;
    if let Some(binary) = field(part, "binary").filter(|binary| !binary.is_null()) {
        let text = binary.as_str().ok_or(KeyError::Shape)?;
        return ledger::decode_base64(text).map(Part::Bytes).map_err(|_| KeyError::Base64);
    }
    let is_text = column.is_some_and(|column| column.column_type.is_text());
    let is_integer = column.is_some_and(|column| column.column_type == ledger::ColumnType::Integer);
    Ok(match field(part, "value") {
        None | Some(Value::Null) => Part::Nothing,
        Some(Value::Bool(truth)) if is_text => Part::Text(u8::from(*truth).to_string()),
        Some(Value::Bool(truth)) => Part::Integer((*truth).into()),
        Some(Value::Number(number)) if is_text => Part::Text(number.to_string()),
        Some(Value::Number(number)) => whole(number),
        Some(Value::String(text)) if is_integer => {
            text.parse().map_or(Part::Nothing, Part::Integer)
        }
        Some(Value::String(text)) => Part::Text(text.clone()),
        Some(Value::Array(_) | Value::Object(_)) => return Err(KeyError::Shape),
    })
}

/// `10.0` is 10; `1.5` is no integer, and so no key.
fn whole(number: &Number) -> Part {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Part::Integer(integer),
        (None, Some(real)) if real.fract() == 0.0 => {
            // Rust writes a whole number without a fraction or exponent.
            format!("{real:.0}").parse().map_or(Part::Nothing, Part::Integer)
        }
        (None, _) => Part::Nothing,
    }
}

/// Go finds fields in any case.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
