//! The six types that a column may have, and what each is called in MySQL, in SQLite and over HTTP.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ColumnName;

/// The type of a column. Its serialised form is the one of the custom resources (`String`, `ByteString`, ...).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    /// At most 191 characters of text.
    String,
    /// A signed 64-bit integer.
    Integer,
    /// A finite IEEE double.
    Decimal,
    /// At most 16 MiB of text.
    Text,
    /// At most 16 MiB of bytes.
    Binary,
    /// At most 255 bytes.
    ByteString,
}

impl ColumnType {
    /// Every type.
    pub const ALL: [ColumnType; 6] = [
        ColumnType::String,
        ColumnType::Integer,
        ColumnType::Decimal,
        ColumnType::Text,
        ColumnType::Binary,
        ColumnType::ByteString,
    ];

    /// What it is called in the original's HTTP API.
    #[must_use]
    pub fn api_name(self) -> &'static str {
        match self {
            ColumnType::String => "string",
            ColumnType::Integer => "integer",
            ColumnType::Decimal => "decimal",
            ColumnType::Text => "text",
            ColumnType::Binary => "binary",
            ColumnType::ByteString => "bytestring",
        }
    }

    /// The type of this name in the original's HTTP API.
    #[must_use]
    pub fn from_api_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column_type| column_type.api_name() == name)
    }

    /// The declared type in MySQL and MariaDB.
    #[must_use]
    pub fn mysql(self) -> &'static str {
        match self {
            ColumnType::String => "VARCHAR(191)",
            ColumnType::Integer => "BIGINT",
            ColumnType::Decimal => "DOUBLE",
            ColumnType::Text => "MEDIUMTEXT",
            ColumnType::Binary => "MEDIUMBLOB",
            ColumnType::ByteString => "VARBINARY(255)",
        }
    }

    /// The declared type in SQLite: in the ledger's text and in the LDB. Readers decide by it.
    #[must_use]
    pub fn sqlite(self) -> &'static str {
        match self {
            ColumnType::String => "VARCHAR(191)",
            ColumnType::Integer => "INTEGER",
            ColumnType::Decimal => "REAL",
            ColumnType::Text => "TEXT",
            ColumnType::Binary => "BLOB",
            ColumnType::ByteString => "BLOB(255)",
        }
    }

    /// The type declared so in SQLite.
    #[must_use]
    pub fn from_sqlite(declared: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|column_type| column_type.sqlite().eq_ignore_ascii_case(declared))
    }

    /// May it be part of a key?
    #[must_use]
    pub fn may_be_key(self) -> bool {
        match self {
            ColumnType::String | ColumnType::Integer | ColumnType::ByteString => true,
            ColumnType::Decimal | ColumnType::Text | ColumnType::Binary => false,
        }
    }

    /// Does it hold text (as against numbers and bytes)?
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, ColumnType::String | ColumnType::Text)
    }

    /// Does it hold bytes, which travel as base64 in JSON?
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(self, ColumnType::Binary | ColumnType::ByteString)
    }

    /// Bytes that it takes at most in an index of MySQL (utf8mb4: four a character).
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            ColumnType::String => 764,
            ColumnType::Integer => 8,
            ColumnType::ByteString => 255,
            ColumnType::Decimal | ColumnType::Text | ColumnType::Binary => 0,
        }
    }

    /// Bytes that it takes at most in a row of MySQL, its length bytes included. Text and bytes of up to 16 MiB are
    /// stored elsewhere and count with their pointer.
    #[must_use]
    pub fn row_bytes(self) -> usize {
        match self {
            ColumnType::String => 766,
            ColumnType::Integer | ColumnType::Decimal => 8,
            ColumnType::ByteString => 256,
            ColumnType::Text | ColumnType::Binary => 11,
        }
    }

    /// Bytes of it that stay in a page of InnoDB at most: up to 40 and their length of a column that can be moved out,
    /// all of one that is too short for that.
    pub(crate) fn page_bytes(self) -> usize {
        match self {
            ColumnType::String | ColumnType::Text | ColumnType::Binary => 41,
            ColumnType::Integer | ColumnType::Decimal => 8,
            ColumnType::ByteString => 256,
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// A column: its name and its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// The name.
    pub name: ColumnName,
    /// The type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_six_types_are_called_so() {
        let line = |t: ColumnType| {
            let key = if t.may_be_key() { "key" } else { "no key" };
            format!("{t}: {} | {} | {} | {key}\n", t.api_name(), t.mysql(), t.sqlite())
        };
        expect![[r#"
            String: string | VARCHAR(191) | VARCHAR(191) | key
            Integer: integer | BIGINT | INTEGER | key
            Decimal: decimal | DOUBLE | REAL | no key
            Text: text | MEDIUMTEXT | TEXT | no key
            Binary: binary | MEDIUMBLOB | BLOB | no key
            ByteString: bytestring | VARBINARY(255) | BLOB(255) | key
        "#]]
        .assert_eq(&ColumnType::ALL.map(line).concat());
    }

    #[test]
    fn names_of_types_lead_back_to_them() {
        for column_type in ColumnType::ALL {
            assert_eq!(ColumnType::from_api_name(column_type.api_name()), Some(column_type));
            assert_eq!(ColumnType::from_sqlite(column_type.sqlite()), Some(column_type));
            let lower = column_type.sqlite().to_lowercase();
            assert_eq!(ColumnType::from_sqlite(&lower), Some(column_type));
            let json = serde_json::to_string(&column_type).unwrap();
            assert_eq!(json, format!("\"{column_type}\""));
            assert_eq!(serde_json::from_str::<ColumnType>(&json).unwrap(), column_type);
        }
        assert_eq!(ColumnType::from_api_name("String"), None);
        for declared in ["BIGINT", "VARCHAR(192)", "BLOB(254)", "TEXTX", ""] {
            assert_eq!(ColumnType::from_sqlite(declared), None, "{declared}");
        }
    }

    #[test]
    fn a_type_holds_text_or_bytes_or_a_number() {
        use ColumnType::*;
        assert_eq!(
            ColumnType::ALL.map(ColumnType::is_text),
            [true, false, false, true, false, false]
        );
        assert_eq!(
            ColumnType::ALL.map(ColumnType::is_bytes),
            [false, false, false, false, true, true]
        );
        assert_eq!([String, Integer, ByteString].map(ColumnType::key_bytes), [764, 8, 255]);
    }

    #[test]
    fn a_column_in_json_has_a_name_and_a_type() {
        let json = r#"{"name":"id","type":"ByteString"}"#;
        let column: Column = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&column).unwrap(), json);
        assert!(serde_json::from_str::<Column>(r#"{"name":"ID","type":"String"}"#).is_err());
        assert!(serde_json::from_str::<Column>(r#"{"name":"id","type":"string"}"#).is_err());
    }
}
