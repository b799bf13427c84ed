//! What a snapshot says about a table's rows: how many, and a digest that does not depend on their order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{HexError, TableSchema};

/// A sum over the digests of all rows, so that it can be kept up to date row by row; 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableDigest(pub(in crate::snapshot) u128);

impl fmt::Display for TableDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for TableDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TableDigest({self})")
    }
}

impl FromStr for TableDigest {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        let digest = u128::from_str_radix(text, 16).map(Self).map_err(|_| HexError)?;
        if digest.to_string() == text { Ok(digest) } else { Err(HexError) }
    }
}

impl TryFrom<String> for TableDigest {
    type Error = HexError;
    fn try_from(text: String) -> Result<Self, HexError> {
        text.parse()
    }
}

impl From<TableDigest> for String {
    fn from(digest: TableDigest) -> String {
        digest.to_string()
    }
}

/// A table of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableContent {
    /// Its name, columns and key.
    pub schema: TableSchema,
    /// How many rows it has.
    pub rows: u64,
    /// Of its rows.
    pub digest: TableDigest,
}
