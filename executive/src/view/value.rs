//! Values as JSON, as mutations take them: integers exact, bytes as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{ColumnName, Value};
use serde_json::{Map, Number};

pub(super) fn object<'a>(
    values: impl IntoIterator<Item = (&'a ColumnName, &'a Value)>,
) -> Map<String, serde_json::Value> {
    values.into_iter().map(|(name, value)| (name.to_string(), json(value))).collect()
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => (*number).into(),
        // Decimals are finite.
        Value::Decimal(number) => {
            Number::from_f64(*number).map_or(serde_json::Value::Null, Into::into)
        }
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
    }
}
