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
//!
//! What it promises, each with tests in the file named:
//!
//! * A name that exists is one that MySQL and SQLite take, also as `family___table` (`name`, `ldb_table`).
//! * A table that [`TableSchema::check_width`] accepts fits MySQL and MariaDB, when it is made and when its widest row is
//!   written (`schema`).
//! * [`diff`] never loses or reinterprets a row: types and keys stay, columns are only added, at the end (`diff`).
//! * A [`Row`] and a [`Key`] hold values that fit their columns, and no key has a null (`row`, `value`).
//! * [`coerce`] takes what the original takes and loses nothing: 64-bit integers, finite doubles and text come out as they
//!   were sent, all else is refused with the column and the cure (`coerce`).
//! * Texts that the original wrote mean what they meant, and we write the same to the byte (`statement`, `literal`).
//! * [`Statement::parse`] reads back each statement that was written, whatever its values; it takes nothing but the
//!   grammar, and panics on no text (`grammar`; a fuzzer tries it, too).
//! * A value that went through the text of a statement is the same value; doubles bit by bit, except that negative zero
//!   is zero (`literal`).
//! * Digests and chain are those of `tests/vectors/digest.json`, for ever (`entry`, `history`).
//! * One position has one text (`history`), and so has one time; any time has a text (`leader_ts`).
//! * The password of a [`CtlDbUrl`] shows in no error and no output (`url`).

mod batch;
mod coerce;
mod column;
mod diff;
mod entry;
mod grammar;
#[macro_use]
mod history;
mod ldb_table;
mod leader_ts;
mod literal;
mod name;
mod row;
mod schema;
mod seq;
pub mod snapshot;
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
