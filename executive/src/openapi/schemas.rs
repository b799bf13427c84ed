//! Schemas of what requests bring; bodies are read by hand, so their schemas are written by hand, too.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::mutations::decode::MAX_MUTATIONS;

pub(crate) fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

/// A parameter of a path.
pub(crate) fn segment(name: &str) -> Value {
    match name {
        "family" => short_name(30),
        "table" => short_name(50),
        "writer" => json!({ "type": "string", "minLength": 3, "maxLength": 50 }),
        _ => json!({
            "type": "string",
            "minLength": 1,
            "description": "One segment for each key column, in the key's order; bytes as text, or as 0x and hexadecimal digits.",
        }),
    }
}

/// A header of a request.
pub(crate) fn header(name: &str) -> Value {
    match name {
        "ctlstore-strict" => json!({ "type": "string", "enum": ["true", "false"] }),
        _ => json!({ "type": "string", "maxLength": 1024 }),
    }
}

pub(crate) fn mutations(_: &mut SchemaGenerator) -> Schema {
    let cookie = |about: &str| {
        json!({
            "type": ["string", "null"], "contentEncoding": "base64", "maxLength": 1368,
            "description": about,
        })
    };
    let values = json!({
        "type": ["object", "null"],
        "description": "By column. A row has all columns of its table, a deletion those of its key. Bytes are base64.",
        "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
    });
    json_schema!({
        "type": "object",
        "required": ["mutations"],
        "properties": {
            "cookie": cookie("Stored with the batch; absent keeps the one that is stored."),
            "check_cookie": cookie("When present, the stored cookie must be this one."),
            "mutations": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_MUTATIONS,
                "items": {
                    "type": "object",
                    "required": ["table"],
                    "properties": {
                        "table": short_name(50),
                        "delete": { "type": ["boolean", "null"] },
                        "values": values,
                    },
                },
            },
        },
    })
}

pub(crate) fn fields(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "properties": { "fields": columns() } })
}

pub(crate) fn table(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["fields", "keyFields"],
        "properties": { "fields": columns(), "keyFields": key() },
    })
}

pub(crate) fn tables(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["family", "name", "fields", "keyFields"],
            "properties": {
                "family": short_name(30),
                "name": short_name(50),
                "fields": columns(),
                "keyFields": key(),
            },
        },
    })
}

pub(crate) fn size_limit(_: &mut SchemaGenerator) -> Schema {
    let bytes = || json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    json_schema!({
        "type": "object",
        "required": ["max-size"],
        "properties": { "max-size": bytes(), "warn-size": bytes() },
    })
}

pub(crate) fn rate_limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["amount", "period"],
        "properties": {
            "amount": { "type": "number", "minimum": 0 },
            "period": {
                "description": "Nanoseconds, or a duration as Go writes it.",
                "oneOf": [
                    { "type": "integer", "minimum": 1, "maximum": 1_000_000_000_000_000_000_i64 },
                    { "type": "string", "pattern": "^[1-9][0-9]{0,5}(ms|s|m|h)$" },
                ],
            },
        },
    })
}

pub(crate) fn binding(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["families"],
        "properties": { "families": { "type": ["array", "null"], "items": short_name(30) } },
    })
}

fn columns() -> Value {
    let column = json!({
        "type": "array",
        "prefixItems": [
            { "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,63}$" },
            { "enum": ["string", "integer", "decimal", "text", "binary", "bytestring"] },
        ],
        "items": false,
        "minItems": 2,
        "maxItems": 2,
    });
    json!({ "type": ["array", "null"], "items": column })
}

fn key() -> Value {
    let name = json!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,63}$" });
    json!({ "type": "array", "minItems": 1, "items": name })
}

/// Of a family or a table: no two underscores in a row.
fn short_name(max: usize) -> Value {
    json!({
        "type": "string",
        "pattern": "^[A-Za-z](_?[A-Za-z0-9])*_?$",
        "minLength": 3,
        "maxLength": max,
    })
}
