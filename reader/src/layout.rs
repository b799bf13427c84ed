//! What lies in an LDB directory: names, and the bytes of `ctl`. A public format: it only ever grows.
//!
//! ```text
//! ctl                  4096 bytes, see below; created once, never renamed, never truncated
//! current -> gen-17    moved by rename(2)
//! ldb.db -> current/ldb.db    the path of the original
//! gen-17/ldb.db  ldb.db-wal  ldb.db-shm
//! agent.sock           the read API on a Unix socket
//! .lock                flock: one agent
//! ```
//!
//! `ctl` holds little-endian 64-bit words; the rest is zero. A process maps it read-only and looks at the words instead
//! of asking the system. The agent writes it with pwrite(2) after each commit, so inotify reports it.
//!
//! | byte | word | meaning |
//! |---|---|---|
//! | 0 | [`word::MAGIC`] | `CTLSTOR1` |
//! | 8 | [`word::VERSION`] | version of this layout: 1 |
//! | 16 | [`word::GENERATION`] | N of the `gen-N` that is served; stored last |
//! | 24 | [`word::SEQ`] | the last ledger sequence applied |
//! | 32 | [`word::HEARTBEAT`] | when the agent was last seen alive, milliseconds since 1970 |
//! | 40 | [`word::INCARNATION`] | rises when the sequence may have stepped back |
//! | 48 | [`word::LEAST_READER`] | readers older than this version must not read |

use ledger::{Column, ColumnType, Statement, TableSchema};

/// The control page.
pub const CTL: &str = "ctl";
/// The size of the control page.
pub const CTL_BYTES: usize = 4096;
/// The first word of the control page.
pub const MAGIC: u64 = u64::from_le_bytes(*b"CTLSTOR1");
/// The version of this layout.
pub const VERSION: u64 = 1;
/// The version of this reader, which must not be below [`word::LEAST_READER`].
pub const READER_VERSION: u64 = 1;
/// The symlink to the served generation.
pub const CURRENT: &str = "current";
/// The database within a generation, and the link to it.
pub const LDB: &str = "ldb.db";
/// The read API's socket.
pub const SOCKET: &str = "agent.sock";
/// The file that the agent locks; it holds the agent's process id.
pub const LOCK: &str = ".lock";
/// What the names of generations begin with.
pub const GENERATION_PREFIX: &str = "gen-";
/// [`CREATE_META`]'s format.
pub const META_FORMAT: i64 = 1;

/// The place of each word in the control page, counted in words.
pub mod word {
    /// `CTLSTOR1`.
    pub const MAGIC: usize = 0;
    /// The layout's version.
    pub const VERSION: usize = 1;
    /// The served generation.
    pub const GENERATION: usize = 2;
    /// The last sequence applied.
    pub const SEQ: usize = 3;
    /// Milliseconds since 1970.
    pub const HEARTBEAT: usize = 4;
    /// Rises when the sequence may have stepped back.
    pub const INCARNATION: usize = 5;
    /// The least version of a reader.
    pub const LEAST_READER: usize = 6;
    /// How many words are in use.
    pub const COUNT: usize = 7;
}

/// The directory of a generation: `gen-17`.
#[must_use]
pub fn generation_dir(generation: u64) -> String {
    format!("{GENERATION_PREFIX}{generation}")
}

/// The generation of a directory's name.
#[must_use]
pub fn generation_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(GENERATION_PREFIX)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

/// The statement that makes this table in the LDB. Rows lie in the tree of their key, unless SQLite numbers them by their
/// key anyway (a single integer) or they may be large (a Text or a Binary).
#[must_use]
pub fn create_table(schema: &TableSchema) -> String {
    let text = Statement::CreateTable(schema.clone()).to_string();
    let text = text.trim_end_matches(';');
    if without_rowid(schema) { format!("{text} WITHOUT ROWID") } else { text.to_owned() }
}

/// Do the rows of this table lie in the tree of their key?
#[must_use]
pub fn without_rowid(schema: &TableSchema) -> bool {
    let large =
        |column: &Column| matches!(column.column_type, ColumnType::Text | ColumnType::Binary);
    !schema.has_integer_key() && !schema.columns().iter().any(large)
}

/// The original's table for the position. One row.
pub const CREATE_SEQ: &str = "CREATE TABLE IF NOT EXISTS _ldb_seq (\
    id INTEGER PRIMARY KEY NOT NULL, seq BIGINT NOT NULL)";

/// The original's table for the time of the last entry. The row `ledger`.
pub const CREATE_LAST_UPDATE: &str = "CREATE TABLE IF NOT EXISTS _ldb_last_update (\
    name STRING PRIMARY KEY NOT NULL, timestamp DATETIME NOT NULL)";

/// Our table for the whole position. One row; none while nothing is applied.
pub const CREATE_META: &str = "CREATE TABLE IF NOT EXISTS _ldb_meta (\
    id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, history TEXT NOT NULL, seq INTEGER NOT NULL, \
    digest BLOB NOT NULL, chain BLOB NOT NULL)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_name_a_generation() {
        let check = |name, want| assert_eq!(generation_of(name), want, "{name}");
        check("gen-1", Some(1));
        check("gen-18446744073709551615", Some(u64::MAX));
        check("gen-18446744073709551616", None);
        check("gen-01", None);
        check("gen-0", None);
        check("gen-", None);
        check("gen-+1", None);
        check("gen-1.tmp", None);
        check("current", None);
        assert_eq!(generation_of(&generation_dir(17)), Some(17));
    }
}
