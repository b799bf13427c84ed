//! The contract between whoever writes control data and whoever replays it.
//!
//! ctldb keeps an ordered log of SQL statements, the *ledger*. The operator and the executive append to it, every
//! node's agent replays it into a SQLite file, the *LDB*. This crate is what the two sides promise each other:
//!
//! * names and types ([`FamilyName`], [`LdbTable`], [`ColumnType`], [`TableSchema`]) and what a legal change of a
//!   table is ([`diff`]);
//! * values and how they come out of JSON ([`Value`], [`coerce`]);
//! * the text of a statement and the strict grammar that reads it back ([`Statement`]): ledger text is parsed and its
//!   values are bound, it is never handed to a database to run;
//! * where in the ledger a copy stands ([`Seq`], [`Position`]), and the digests that prove it ([`Digest`], [`Chain`]).
//!
//! Sequences are dense: `n` is followed by `n + 1`, and sequence order is commit order. A hole therefore means that
//! something was lost, never that a write was rolled back. Only a ledger written by the original ctlstore may have holes.
//!
//! Pure: no I/O, no clock, no randomness. It cannot fail on I/O because it has none.

mod batch;
mod coerce;
mod column;
mod diff;
mod entry;
mod grammar;
mod history;
mod ldb_table;
mod leader_ts;
mod literal;
mod name;
mod row;
mod schema;
mod seq;
mod statement;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod url;
mod value;

pub use batch::{Mutation, framed};
pub use coerce::{coerce, decode_base64};
pub use column::{Column, ColumnType};
pub use diff::{Change, Refusal, diff};
pub use entry::Entry;
pub use grammar::GrammarError;
pub use history::{Chain, Digest, HexError, History, Mark, MarkError, Position};
pub use ldb_table::LdbTable;
pub use leader_ts::{LeaderTs, LeaderTsError};
pub use literal::Literal;
pub use name::{ColumnName, FamilyName, NameError, NameKind, NameRule, TableName, WriterName};
pub use row::{Key, Row};
pub use schema::{
    MAX_COLUMNS, MAX_KEY_BYTES, MAX_KEY_COLUMNS, MAX_PAGE_BYTES, MAX_ROW_BYTES, SchemaError,
    TableSchema, TooWide,
};
pub use seq::{NotASeq, Seq};
pub use statement::Statement;
pub use url::{CtlDbUrl, CtlDbUrlError, MySqlUrl, Tls};
pub use value::{
    MAX_BYTE_STRING_BYTES, MAX_LARGE_BYTES, MAX_STRING_CHARACTERS, Problem, Value, ValueError,
};
