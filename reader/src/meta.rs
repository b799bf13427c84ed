//! What the agent's own tables say: where the LDB stands and when that was.

use ledger::{Chain, Digest, History, LeaderTs, Position, Seq};
use rusqlite::{Connection, OptionalExtension as _};

use crate::Error;
use crate::layout::META_FORMAT;

/// Where the LDB stands; none while nothing is applied, and in an LDB of the original, which keeps a number only.
///
/// # Errors
/// SQLite refuses, or `_ldb_meta` holds what we never write.
pub fn position(connection: &Connection) -> Result<Option<Position>, Error> {
    if !has_table(connection, "_ldb_meta")? {
        return Ok(None);
    }
    let sql = "SELECT format, history, seq, digest, chain FROM _ldb_meta WHERE id = 1";
    let row = connection.prepare_cached(sql)?.query_row([], |row| {
        Ok(Raw {
            format: row.get(0)?,
            history: row.get(1)?,
            seq: row.get(2)?,
            digest: row.get(3)?,
            chain: row.get(4)?,
        })
    });
    row.optional()?.map(Raw::check).transpose()
}

/// The last sequence applied, as the original keeps it; none while nothing is applied.
///
/// # Errors
/// SQLite refuses, or the number is no sequence.
pub fn seq(connection: &Connection) -> Result<Option<Seq>, Error> {
    if !has_table(connection, "_ldb_seq")? {
        return Ok(None);
    }
    let sql = "SELECT seq FROM _ldb_seq WHERE id = 1";
    let seq = connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let broken =
        |number| Error::Broken { table: "_ldb_seq", what: format!("the sequence {number}") };
    seq.optional()?.map(|number| Seq::try_from(number).map_err(|_| broken(number))).transpose()
}

/// When the last entry applied was written; none while nothing is applied.
///
/// # Errors
/// SQLite refuses, or the text is no time.
pub fn last_update(connection: &Connection) -> Result<Option<LeaderTs>, Error> {
    if !has_table(connection, "_ldb_last_update")? {
        return Ok(None);
    }
    let sql = "SELECT CAST(timestamp AS TEXT) FROM _ldb_last_update WHERE name = 'ledger'";
    let text = connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, String>(0));
    let broken =
        |text| Error::Broken { table: "_ldb_last_update", what: format!("the time {text:?}") };
    let parse = |text: String| {
        let utc = text.strip_suffix("+00:00").or_else(|| text.strip_suffix('Z')).unwrap_or(&text);
        utc.replacen('T', " ", 1).parse().map_err(|_| broken(text))
    };
    text.optional()?.map(parse).transpose()
}

fn has_table(connection: &Connection, name: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    Ok(connection.prepare_cached(sql)?.exists([name])?)
}

struct Raw {
    format: i64,
    history: String,
    seq: i64,
    digest: Vec<u8>,
    chain: Vec<u8>,
}

impl Raw {
    fn check(self) -> Result<Position, Error> {
        let broken = |what| Error::Broken { table: "_ldb_meta", what };
        if self.format != META_FORMAT {
            return Err(broken(format!("format {}, not {META_FORMAT}", self.format)));
        }
        let history: Result<History, _> = self.history.parse();
        Ok(Position {
            history: history.map_err(|_| broken(format!("the history {:?}", self.history)))?,
            seq: Seq::try_from(self.seq)
                .map_err(|_| broken(format!("the sequence {}", self.seq)))?,
            digest: Digest::from_slice(&self.digest)
                .ok_or_else(|| broken("a digest of the wrong size".to_owned()))?,
            chain: Chain::from_slice(&self.chain)
                .ok_or_else(|| broken("a chain of the wrong size".to_owned()))?,
        })
    }
}
