//! Schemas of what requests bring and answers hold, where no type of ours has one.

use daemon::openapi::optional;
use ledger::Seq;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::read_api::rows::MAX_KEYS;

/// Headers of every answer.
pub(super) fn stamps() -> Map<String, Value> {
    let number = |about: &str| json!({ "description": about, "schema": { "type": "integer", "minimum": 0 } });
    let seq = number("A sequence that the answer has passed.");
    let lag = number("The age of the newest entry applied, in milliseconds.");
    [("ctlstore-seq".to_owned(), seq), ("ctlstore-lag-ms".to_owned(), lag)].into_iter().collect()
}

pub(super) fn rows_query() -> Vec<Value> {
    let number = json!({ "type": "integer", "minimum": 0, "maximum": Seq::MAX.get() });
    let text = json!({ "type": "string" });
    let int64 = json!({ "type": "string", "enum": ["number", "string"] });
    let wait = json!({ "type": "integer", "minimum": 0, "maximum": 60_000 });
    let of = |name, about, schema: &Value| optional("query", name, about, schema);
    vec![
        of("columns", "only these, with commas between", &text),
        of("int64", "how integers are written; number when it is absent", &int64),
        of("min-seq", "waits until the LDB has this sequence", &number),
        of("min-position", "waits for this value of a header ctlstore-position", &text),
        of("wait-ms", "how long to wait for them; --read-timeout when it is absent", &wait),
        of("max-lag-ms", "refuses when the newest entry is older", &number),
    ]
}

pub(super) fn watch_query() -> Vec<Value> {
    let number = json!({ "type": "integer", "minimum": 0, "maximum": Seq::MAX.get() });
    let pattern = "^(legacy|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})[.][0-9]{1,18}$";
    let epoch = json!({ "type": "string", "pattern": pattern });
    let flag = json!({ "type": "string", "enum": ["true", "false"] });
    let of = |name, about, schema: &Value| optional("query", name, about, schema);
    vec![
        of("after", "the sequence before the first event; from now on when it is absent", &number),
        of("epoch", "of the event that told `after`: in another one, `fell_behind` comes", &epoch),
        of("changes", "true: tell each change, too", &flag),
        of("family", "changes of this family only; may come several times", &segment("family")),
        of("table", "changes of tables of this name only", &segment("table")),
    ]
}

/// A parameter of a path.
pub(super) fn segment(name: &str) -> Value {
    let short = |max: u32| {
        let pattern = "^[A-Za-z](_?[A-Za-z0-9])*_?$";
        json!({ "type": "string", "pattern": pattern, "minLength": 3, "maxLength": max })
    };
    match name {
        "family" => short(30),
        "table" => short(50),
        _ => {
            let about = "One segment for each value, in the key's order; bytes as text, or as 0x and hexadecimal digits.";
            json!({ "type": "string", "minLength": 1, "description": about })
        }
    }
}

pub(super) fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

pub(super) fn list_of_rows(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "object" } })
}

pub(super) fn page(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["rows", "continue"],
        "properties": {
            "rows": { "type": "array", "items": { "type": "object" } },
            "continue": { "type": ["string", "null"], "description": "Where to go on; null at the end." },
        },
    })
}

pub(super) fn rows_by_keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["rows"],
        "properties": { "rows": { "type": "array", "items": { "type": ["object", "null"] } } },
    })
}

pub(super) fn keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["keys"],
        "additionalProperties": false,
        "properties": { "keys": {
            "type": "array",
            "maxItems": MAX_KEYS,
            "items": { "type": "array", "items": { "type": ["string", "integer"] } },
            "description": "Each is the values of a key, in its order: as rows have them, bytes in base64.",
        } },
    })
}

pub(super) fn original_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "key": { "type": ["array", "null"], "items": {
            "type": "object",
            "properties": { "value": {}, "binary": { "type": ["string", "null"], "contentEncoding": "base64" } },
        } } },
    })
}

/// Of the original's `/get-ledger-latency`.
pub(super) fn latency(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["unit", "value"],
        "properties": { "unit": { "const": "seconds" }, "value": { "type": "number", "minimum": 0 } },
    })
}
