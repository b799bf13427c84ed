//! A ledger in a SQLite file: embedded mode. Looks at it in a deferred read transaction.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use ledger::{History, Position, Seq};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use crate::source::books::{self, MetaRow};
use crate::source::{Fetched, Limit, Source, SourceError, Survey};

/// A writer holds the file for the blink of a transaction.
const BUSY: Duration = Duration::from_secs(2);

pub(crate) struct Sqlite {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// Device and inode: a restore puts another file in this place.
    file: (u64, u64),
}

impl Sqlite {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    async fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&Connection) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let (path, open) = (self.path.clone(), self.open.take());
        let work = move || {
            let open = reopened(&path, open)?;
            let answer = question(&open.connection)?;
            Ok::<_, SourceError>((open, answer))
        };
        let done = tokio::task::spawn_blocking(work).await;
        // After an error the connection is gone, and with it its transaction.
        let (open, answer) = done.map_err(SourceError::away)??;
        self.open = Some(open);
        Ok(answer)
    }
}

#[async_trait]
impl Source for Sqlite {
    async fn fetch(
        &mut self,
        from: Option<Position>,
        limit: Limit,
    ) -> Result<Fetched, SourceError> {
        self.ask(move |connection| look(connection, from, limit)).await
    }

    async fn survey(&mut self, seqs: &[Seq]) -> Result<Survey, SourceError> {
        let seqs = seqs.to_vec();
        self.ask(move |connection| survey(connection, &seqs)).await
    }
}

fn reopened(path: &Path, open: Option<Open>) -> Result<Open, SourceError> {
    let metadata = std::fs::metadata(path).map_err(SourceError::away)?;
    let file = (metadata.dev(), metadata.ino());
    match open {
        Some(open) if open.file == file => Ok(open),
        Some(_) | None => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
            connection.busy_timeout(BUSY).map_err(failed)?;
            Ok(Open { connection, file })
        }
    }
}

fn look(
    connection: &Connection,
    from: Option<Position>,
    limit: Limit,
) -> Result<Fetched, SourceError> {
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let mut fetched = meta(&transaction)?;
    if !fetched.ends_at(from) {
        let start = from.map_or(Seq::FIRST, |own| own.seq);
        entries(&transaction, start, limit, &mut fetched).map_err(failed)??;
        if let Some(last) = fetched.entries.last().map(|entry| entry.seq)
            && fetched.history != History::Legacy
        {
            bookkeeping(&transaction, start, last, &mut fetched).map_err(failed)??;
        }
    }
    transaction.finish().map_err(failed)?;
    Ok(fetched)
}

fn survey(connection: &Connection, seqs: &[Seq]) -> Result<Survey, SourceError> {
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let ledger = meta(&transaction)?;
    let (mut digests, mut chains) = (BTreeMap::new(), BTreeMap::new());
    for seq in seqs {
        let mut one = ledger.clone();
        entries(&transaction, *seq, Limit { entries: 1, bytes: 1 }, &mut one).map_err(failed)??;
        // The one that stands there, not the next after a hole.
        let there = one.entries.first().filter(|entry| entry.seq == *seq);
        digests.extend(there.map(|entry| (*seq, entry.digest())));
        if ledger.history != History::Legacy {
            bookkeeping(&transaction, *seq, *seq, &mut one).map_err(failed)??;
            chains.extend(one.batches.iter().map(|end| (end.last_seq, end.chain)));
        }
    }
    transaction.finish().map_err(failed)?;
    Ok(Survey { ledger, digests, chains })
}

fn meta(connection: &Connection) -> Result<Fetched, SourceError> {
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let has = |name| {
        connection.prepare_cached(tables).and_then(|mut found| found.exists([name])).map_err(failed)
    };
    if !has("ctlstore_meta")? {
        if !has("ctlstore_dml_ledger")? {
            return Err(SourceError::NoLedger);
        }
        let bounds = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (min, max) = connection.query_row(books::BOUNDS, [], bounds).map_err(failed)?;
        return books::legacy(min, max);
    }
    let read = |row: &rusqlite::Row<'_>| {
        Ok(MetaRow {
            history: row.get(0)?,
            last_seq: row.get(1)?,
            last_digest: row.get(2)?,
            chain: row.get(3)?,
            pruned_through: row.get(4)?,
            min_compatible: row.get(5)?,
            parent_history: row.get(6)?,
            parent_seq: row.get(7)?,
            parent_chain: row.get(8)?,
        })
    };
    let mut statement = connection.prepare_cached(books::META).map_err(failed)?;
    let row = statement.query_row([], read).optional().map_err(failed)?;
    // The row comes last when the books are made.
    row.ok_or(SourceError::NoLedger)?.read()
}

/// The outer error is SQLite's, the inner one ours.
type Both<T> = rusqlite::Result<Result<T, SourceError>>;

fn entries(connection: &Connection, start: Seq, limit: Limit, fetched: &mut Fetched) -> Both<()> {
    let sql = "SELECT seq, leader_ts, statement FROM ctlstore_dml_ledger WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((start.to_i64(), limit.entries))?;
    let mut bytes = 0;
    while bytes < limit.bytes
        && let Some(row) = rows.next()?
    {
        match books::entry(row.get(0)?, row.get(1)?, row.get(2)?) {
            Ok(entry) => {
                // The first is one that the caller knows already, and must not be the only one.
                bytes += if fetched.entries.is_empty() { 0 } else { entry.statement.len() };
                fetched.entries.push(entry);
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

fn bookkeeping(connection: &Connection, start: Seq, last: Seq, fetched: &mut Fetched) -> Both<()> {
    let range = (start.to_i64(), last.to_i64());
    let mut statement = connection.prepare_cached(books::BATCHES)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        match books::batch_end(row.get(0)?, &row.get::<_, Vec<u8>>(1)?) {
            Ok(end) => fetched.batches.push(end),
            Err(error) => return Ok(Err(error)),
        }
    }
    let mut statement = connection.prepare_cached(books::SKIPS)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        match books::skip(row.get(0)?, row.get(1)?) {
            Ok(skip) => fetched.skips.push(skip),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

fn failed(error: rusqlite::Error) -> SourceError {
    match error.sqlite_error_code() {
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            SourceError::Denied { source: error.into() }
        }
        Some(_) => SourceError::away(error),
        // A value of another type than its column's.
        None => SourceError::broken(error.to_string()),
    }
}
