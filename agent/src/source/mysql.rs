//! A ledger in MySQL or MariaDB, over one connection that can only read.

mod grants;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use ledger::{History, MySqlUrl, Position, Seq, Tls};
use sqlx::mysql::{
    MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow, MySqlSslMode,
};
use sqlx::{ConnectOptions as _, Executor as _, Row as _};
use tokio::time::timeout;

use crate::source::books::{self, MetaRow};
use crate::source::{Fetched, Limit, Source, SourceError, Survey};

/// The session only reads, sees one state in a transaction, and talks UTF-8 and UTC.
const SETTINGS: &str = "SET NAMES utf8mb4; \
    SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES'; \
    SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
const ENTRIES: &str = "SELECT CAST(seq AS SIGNED), CAST(leader_ts AS CHAR), statement \
    FROM ctlstore_dml_ledger WHERE seq >= ? ORDER BY seq LIMIT ?";

const CONNECT: Duration = Duration::from_secs(5);
/// For the one row that tells whether there is anything new.
const PROBE: Duration = Duration::from_secs(5);
/// For one look, which is bounded in bytes.
const LOOK: Duration = Duration::from_secs(20);
/// Entries of the first page, before anything is known of their size.
const FIRST_PAGE: u32 = 100;

pub(crate) struct MySql {
    options: MySqlConnectOptions,
    connection: Option<MySqlConnection>,
    /// How many entries to ask for at once, so that what comes is about what may come.
    page: u32,
    warned: bool,
}

impl MySql {
    pub(crate) fn new(url: &MySqlUrl) -> Self {
        let MySqlUrl { host, port, user, password, database, tls, ca_file } = url;
        let mut options = MySqlConnectOptions::new()
            .host(host)
            .port(*port)
            .username(user)
            .database(database)
            .ssl_mode(match tls {
                Tls::Disabled => MySqlSslMode::Disabled,
                Tls::Preferred => MySqlSslMode::Preferred,
                Tls::Required => MySqlSslMode::Required,
                Tls::VerifyCa => MySqlSslMode::VerifyCa,
                Tls::VerifyIdentity => MySqlSslMode::VerifyIdentity,
            })
            .charset("utf8mb4")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .disable_statement_logging();
        if !password.is_empty() {
            options = options.password(password);
        }
        if let Some(file) = ca_file {
            options = options.ssl_ca(file);
        }
        Self { options, connection: None, page: FIRST_PAGE, warned: false }
    }

    async fn connect(&mut self) -> Result<MySqlConnection, SourceError> {
        let warned = self.warned;
        let connect = async {
            let mut connection = self.options.connect().await?;
            connection.execute(sqlx::raw_sql(SETTINGS)).await?;
            if !warned {
                grants::warn_of_writing(&mut connection).await;
            }
            Ok(connection)
        };
        let seconds = CONNECT.as_secs();
        let connected = timeout(CONNECT, connect).await;
        let connection =
            connected.map_err(|_| SourceError::Timeout { seconds })?.map_err(failed)?;
        self.warned = true;
        Ok(connection)
    }

    /// To be given back after success only: an unfinished answer would be read as the next one.
    async fn take(&mut self) -> Result<MySqlConnection, SourceError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }
}

#[async_trait]
impl Source for MySql {
    async fn fetch(
        &mut self,
        from: Option<Position>,
        limit: Limit,
    ) -> Result<Fetched, SourceError> {
        let mut connection = self.take().await?;
        let mut look = Look { connection: &mut connection, page: self.page };
        let seconds = LOOK.as_secs();
        let fetched = timeout(LOOK, look.look(from, limit)).await;
        self.page = look.page;
        let fetched = fetched.map_err(|_| SourceError::Timeout { seconds })??;
        self.connection = Some(connection);
        Ok(fetched)
    }

    async fn survey(&mut self, seqs: &[Seq]) -> Result<Survey, SourceError> {
        let mut connection = self.take().await?;
        let mut look = Look { connection: &mut connection, page: self.page };
        let seconds = LOOK.as_secs();
        let surveyed = timeout(LOOK, look.survey(seqs)).await;
        let surveyed = surveyed.map_err(|_| SourceError::Timeout { seconds })??;
        self.connection = Some(connection);
        Ok(surveyed)
    }
}

struct Look<'a> {
    connection: &'a mut MySqlConnection,
    page: u32,
}

impl Look<'_> {
    async fn look(&mut self, from: Option<Position>, limit: Limit) -> Result<Fetched, SourceError> {
        // One row by itself, outside a transaction, tells an idle agent that there is nothing.
        let probe = timeout(PROBE, self.meta()).await;
        if let Some(idle) =
            probe.map_err(|_| SourceError::Timeout { seconds: PROBE.as_secs() })??
            && idle.ends_at(from)
        {
            return Ok(idle);
        }
        let mut fetched = self.begin().await?;
        if !fetched.ends_at(from) {
            let start = from.map_or(Seq::FIRST, |own| own.seq);
            self.entries(start, limit, &mut fetched).await?;
            if let Some(last) = fetched.entries.last().map(|entry| entry.seq)
                && fetched.history != History::Legacy
            {
                self.bookkeeping(start, last, &mut fetched).await?;
            }
        }
        self.run("COMMIT").await?;
        Ok(fetched)
    }

    async fn survey(&mut self, seqs: &[Seq]) -> Result<Survey, SourceError> {
        let ledger = self.begin().await?;
        let (mut digests, mut chains) = (BTreeMap::new(), BTreeMap::new());
        for seq in seqs {
            let row = sqlx::query(ENTRIES).bind(seq.to_i64()).bind(1);
            let row = row.fetch_optional(&mut *self.connection).await.map_err(failed)?;
            // The one that stands there, not the next after a hole.
            if let Some(entry) = row.as_ref().map(entry).transpose()?
                && entry.seq == *seq
            {
                digests.insert(*seq, entry.digest());
            }
            if ledger.history != History::Legacy {
                let mut one = ledger.clone();
                self.bookkeeping(*seq, *seq, &mut one).await?;
                chains.extend(one.batches.iter().map(|end| (end.last_seq, end.chain)));
            }
        }
        self.run("COMMIT").await?;
        Ok(Survey { ledger, digests, chains })
    }

    /// Begins a read transaction with what the ledger says of itself.
    async fn begin(&mut self) -> Result<Fetched, SourceError> {
        self.run(BEGIN).await?;
        match self.meta().await? {
            Some(fetched) => Ok(fetched),
            None => self.legacy().await,
        }
    }

    /// None when there is no such table.
    async fn meta(&mut self) -> Result<Option<Fetched>, SourceError> {
        let row = match sqlx::query(books::META).fetch_optional(&mut *self.connection).await {
            Ok(row) => row,
            Err(error) if number(&error) == Some(NO_SUCH_TABLE) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // The row comes last when the books are made.
        let row = row.ok_or(SourceError::NoLedger)?;
        let read = |row: &MySqlRow| {
            Ok(MetaRow {
                history: row.try_get_unchecked(0)?,
                last_seq: row.try_get_unchecked(1)?,
                last_digest: row.try_get_unchecked(2)?,
                chain: row.try_get_unchecked(3)?,
                pruned_through: row.try_get_unchecked(4)?,
                min_compatible: row.try_get_unchecked(5)?,
                parent_history: row.try_get_unchecked(6)?,
                parent_seq: row.try_get_unchecked(7)?,
                parent_chain: row.try_get_unchecked(8)?,
            })
        };
        read(&row).map_err(failed)?.read().map(Some)
    }

    async fn legacy(&mut self) -> Result<Fetched, SourceError> {
        let row = match sqlx::query(books::BOUNDS).fetch_one(&mut *self.connection).await {
            Ok(row) => row,
            Err(error) if number(&error) == Some(NO_SUCH_TABLE) => {
                return Err(SourceError::NoLedger);
            }
            Err(error) => return Err(failed(error)),
        };
        let bound = |index| row.try_get_unchecked::<Option<i64>, _>(index).map_err(failed);
        books::legacy(bound(0)?, bound(1)?)
    }

    async fn entries(
        &mut self,
        start: Seq,
        limit: Limit,
        fetched: &mut Fetched,
    ) -> Result<(), SourceError> {
        let (mut next, mut bytes, mut rest) = (start, 0, limit.entries);
        while rest > 0 && bytes < limit.bytes {
            let page = self.page.min(rest);
            let query = sqlx::query(ENTRIES).bind(next.to_i64()).bind(i64::from(page));
            let mut rows = query.fetch(&mut *self.connection);
            let (mut count, mut kept, mut page_bytes) = (0, 0, 0);
            while let Some(row) = rows.try_next().await.map_err(failed)? {
                count += 1;
                // What comes beyond the limit is read off the wire and dropped.
                if bytes + page_bytes < limit.bytes {
                    let entry = entry(&row)?;
                    kept += 1;
                    // The first is one that the caller knows already, and must not be the only one.
                    page_bytes +=
                        if fetched.entries.is_empty() { 0 } else { entry.statement.len() };
                    fetched.entries.push(entry);
                }
            }
            drop(rows);
            self.page = next_page(limit, kept, page_bytes);
            bytes += page_bytes;
            rest -= count.min(rest);
            match fetched.entries.last().and_then(|entry| entry.seq.next()) {
                Some(after) if count == page => next = after,
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    async fn bookkeeping(
        &mut self,
        start: Seq,
        last: Seq,
        fetched: &mut Fetched,
    ) -> Result<(), SourceError> {
        let range = |sql| sqlx::query(sql).bind(start.to_i64()).bind(last.to_i64());
        let rows = range(books::BATCHES).fetch_all(&mut *self.connection).await.map_err(failed)?;
        for row in rows {
            let chain: Vec<u8> = row.try_get_unchecked(1).map_err(failed)?;
            let end = books::batch_end(row.try_get_unchecked(0).map_err(failed)?, &chain)?;
            fetched.batches.push(end);
        }
        let rows = range(books::SKIPS).fetch_all(&mut *self.connection).await.map_err(failed)?;
        for row in rows {
            let reason = row.try_get_unchecked(1).map_err(failed)?;
            fetched.skips.push(books::skip(row.try_get_unchecked(0).map_err(failed)?, reason)?);
        }
        Ok(())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), SourceError> {
        self.connection.execute(sqlx::raw_sql(sql)).await.map(|_| ()).map_err(failed)
    }
}

fn entry(row: &MySqlRow) -> Result<ledger::Entry, SourceError> {
    let number = row.try_get_unchecked(0).map_err(failed)?;
    let time = row.try_get_unchecked(1).map_err(failed)?;
    let statement = row.try_get_unchecked(2).map_err(failed)?;
    books::entry(number, time, statement)
}

/// As many entries of the size just seen as fit the limit; never many more than before, for sizes jump.
fn next_page(limit: Limit, count: u32, bytes: usize) -> u32 {
    let Some(mean) = usize::try_from(count).ok().and_then(|count| bytes.checked_div(count)) else {
        return FIRST_PAGE.min(limit.entries);
    };
    let fits = u32::try_from(limit.bytes / mean.max(1)).unwrap_or(u32::MAX);
    fits.min(count.saturating_mul(4)).clamp(1, limit.entries)
}

const NO_SUCH_TABLE: u16 = 1146;
/// Access to the server, the database, a table or a column; password expired; account locked.
const DENIED: [u16; 8] = [1044, 1045, 1142, 1143, 1227, 1698, 1820, 3118];

fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(error.number())
}

fn failed(error: sqlx::Error) -> SourceError {
    match (&error, number(&error)) {
        (_, Some(number)) if DENIED.contains(&number) => {
            SourceError::Denied { source: error.into() }
        }
        (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_), _) => {
            SourceError::broken(error.to_string())
        }
        _ => SourceError::away(error),
    }
}
