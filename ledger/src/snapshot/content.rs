//! The digest of a table's rows.
//!
//! Each row's BLAKE3 is added up, modulo 2^128: the order of rows does not count, and a change of one row is one subtraction
//! and one addition. Nulls at the end of a row do not count either, so adding a column changes no digest.

use crate::snapshot::TableDigest;

/// A value as the LDB's file holds it, whatever its column declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(&'a [u8]),
    /// BLOB.
    Blob(&'a [u8]),
}

/// Rows seen so far.
#[derive(Debug, Clone, Default)]
pub struct Content {
    rows: u64,
    sum: u128,
    // Kept between rows for its memory only.
    buffer: Vec<u8>,
}

impl Content {
    /// Takes one more row into account: its values in the order of the columns.
    pub fn add<'a>(&mut self, row: impl IntoIterator<Item = Cell<'a>>) {
        self.buffer.clear();
        let mut end = 0;
        for cell in row {
            encode(cell, &mut self.buffer);
            if cell != Cell::Null {
                end = self.buffer.len();
            }
        }
        let hash = blake3::hash(&self.buffer[..end]);
        let (low, _) = hash.as_bytes().split_first_chunk::<16>().expect("BUG: it has 32 bytes");
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(*low));
        self.rows += 1;
    }

    /// How many rows there were.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest of all.
    #[must_use]
    pub fn digest(&self) -> TableDigest {
        TableDigest(self.sum)
    }
}

/// No two rows have one encoding: each value begins with its kind, and those of any length say how long they are.
fn encode(cell: Cell<'_>, out: &mut Vec<u8>) {
    let sized = |kind: u8, bytes: &[u8], out: &mut Vec<u8>| {
        out.push(kind);
        let length = u64::try_from(bytes.len()).expect("BUG: a length fits 64 bits");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match cell {
        Cell::Null => out.push(0),
        Cell::Integer(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Cell::Real(number) => {
            out.push(2);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Cell::Text(bytes) => sized(3, bytes, out),
        Cell::Blob(bytes) => sized(4, bytes, out),
    }
}
