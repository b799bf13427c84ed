//! One change: which row or table, and what was done to it. Its JSON is a line of the change log's format v2 and the data of
//! an event of `/v1/watch`; `reader::changes` reads it back.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{Column, LdbTable, LeaderTs, Seq, Value};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// What an entry of the ledger did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) seq: Seq,
    /// When the entry was written, if the ledger knows.
    pub(crate) at: LeaderTs,
    pub(crate) op: Op,
    pub(crate) table: Arc<Table>,
    /// The values of the key's columns, in the key's order. None for what concerns the whole table.
    pub(crate) key: Vec<Value>,
}

/// A table as it was when the change was applied.
#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) name: LdbTable,
    /// The columns of its key, in the key's order.
    pub(crate) key: Vec<Column>,
    /// The places of the key's columns among these, in the order in which the table has them.
    pub(crate) by_column: Vec<usize>,
}

impl Table {
    /// A table whose key has these columns, each with its place in the key, in the order of the table's columns.
    pub(crate) fn new(name: LdbTable, key: Vec<(usize, Column)>) -> Self {
        let by_column = key.iter().map(|(place, _)| *place).collect();
        let mut key = key;
        key.sort_by_key(|(place, _)| *place);
        Self { name, key: key.into_iter().map(|(_, column)| column).collect(), by_column }
    }

    /// One of which no key is told.
    pub(crate) fn without_key(name: LdbTable) -> Self {
        Self::new(name, Vec::new())
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// The row of this key was written.
    Upsert,
    /// It was deleted, if it was there.
    Delete,
    /// All rows were deleted.
    Clear,
    /// The table was dropped, if it was there.
    Drop,
    Create,
    AddColumn,
}

impl Op {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Op::Upsert => "upsert",
            Op::Delete => "delete",
            Op::Clear => "clear",
            Op::Drop => "drop",
            Op::Create => "create",
            Op::AddColumn => "add_column",
        }
    }
}

impl Change {
    /// What it takes of memory, about. The table is shared.
    pub(crate) fn bytes(&self) -> usize {
        let value = |value: &Value| {
            let apart = match value {
                Value::Text(text) => text.capacity(),
                Value::Bytes(bytes) => bytes.capacity(),
                Value::Null | Value::Integer(_) | Value::Decimal(_) => 0,
            };
            size_of::<Value>() + apart
        };
        size_of::<Self>() + self.key.iter().map(value).sum::<usize>()
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("op", self.op.as_str())?;
        map.serialize_entry("family", self.table.name.family().as_str())?;
        map.serialize_entry("table", self.table.name.table().as_str())?;
        if matches!(self.op, Op::Upsert | Op::Delete) {
            let columns = self.table.key.iter().zip(&self.key);
            let key: Vec<_> = columns.map(|(column, value)| KeyPart { column, value }).collect();
            map.serialize_entry("key", &key)?;
        }
        if self.at != LeaderTs::UNKNOWN {
            let at = self.at.to_string().replace(' ', "T");
            map.serialize_entry("at", &format_args!("{at}Z"))?;
        }
        map.end()
    }
}

/// A column of a key with its value, as the original's change log has it.
pub(crate) struct KeyPart<'a> {
    pub(crate) column: &'a Column,
    pub(crate) value: &'a Value,
}

impl Serialize for KeyPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("name", self.column.name.as_str())?;
        map.serialize_entry("type", self.column.column_type.sqlite())?;
        match self.value {
            Value::Null => map.serialize_entry("value", &())?,
            Value::Integer(integer) => map.serialize_entry("value", integer)?,
            Value::Decimal(number) => map.serialize_entry("value", number)?,
            Value::Text(text) => map.serialize_entry("value", text)?,
            Value::Bytes(bytes) => map.serialize_entry("value", &STANDARD.encode(bytes))?,
        }
        map.end()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::{Expect, expect};
    use ledger::{ColumnName, ColumnType};

    use super::*;

    pub(crate) fn table(name: &str, key: &[(&str, ColumnType)]) -> Arc<Table> {
        let column = |(name, column_type): &(&str, ColumnType)| Column {
            name: ColumnName::parse(name).unwrap(),
            column_type: *column_type,
        };
        let name = LdbTable::parse(name).unwrap();
        let by_column = (0..key.len()).rev().collect();
        Arc::new(Table { name, key: key.iter().map(column).collect(), by_column })
    }

    fn check(change: &Change, want: &Expect) {
        want.assert_eq(&serde_json::to_string(change).unwrap());
    }

    #[test]
    fn the_json_says_what_and_where_and_when() {
        use ColumnType::{ByteString, Integer, String};
        let table = table("fam___tbl", &[("b", ByteString), ("n", Integer), ("s", String)]);
        let text = Value::Text("<é\u{0}".to_owned());
        let key = vec![Value::Bytes(vec![0, 255]), Value::Integer(i64::MIN), text];
        let at = "2026-01-31 23:59:59.5".parse().unwrap();
        let seq = Seq::new(7).unwrap();
        let change = Change { seq, at, op: Op::Upsert, table, key };
        check(
            &change,
            &expect![[
                r#"{"seq":7,"op":"upsert","family":"fam","table":"tbl","key":[{"name":"b","type":"BLOB(255)","value":"AP8="},{"name":"n","type":"INTEGER","value":-9223372036854775808},{"name":"s","type":"VARCHAR(191)","value":"<é\u0000"}],"at":"2026-01-31T23:59:59.500000Z"}"#
            ]],
        );
        let cleared = Change { op: Op::Clear, key: Vec::new(), at: LeaderTs::UNKNOWN, ..change };
        check(&cleared, &expect![[r#"{"seq":7,"op":"clear","family":"fam","table":"tbl"}"#]]);
    }
}
