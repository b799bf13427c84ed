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
