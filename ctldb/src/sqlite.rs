//! The embedded back end: a SQLite file. Its calls block, so each runs on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ffi};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::connection::{Backend, Connection, Outcome, SqlRow, SqlValue, Step};
use crate::dialect::Dialect;
use crate::fault::cause;
use crate::{Fault, Options};

/// Writers of other processes are waited for this long; ours queue in [`Shared::writer`], which is fair.
const BUSY: Duration = Duration::from_secs(5);
const SCHEMA_LOCK: Duration = Duration::from_secs(10);

pub(crate) struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    connect_timeout: Duration,
    /// How many connections there may be.
    places: usize,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<rusqlite::Connection>>,
    writer: Arc<Turn<()>>,
    /// Another process may change tables too; it does no harm, for SQLite's DDL is part of the transaction that ends the
    /// intent.
    schema: Arc<Turn<()>>,
}

struct SqliteConnection {
    shared: Arc<Shared>,
    // Gone while a call runs, and after a call that nobody waited for.
    raw: Option<rusqlite::Connection>,
    writing: Option<OwnedMutexGuard<()>>,
    schema: Option<OwnedMutexGuard<()>>,
    _permit: OwnedSemaphorePermit,
}

impl Sqlite {
    pub(crate) fn new(path: PathBuf, options: &Options) -> Self {
        let places = usize::try_from(options.max_connections).unwrap_or(1).max(1);
        Self {
            shared: Arc::new(Shared {
                path,
                connect_timeout: options.connect_timeout,
                places,
                permits: Arc::new(Semaphore::new(places)),
                idle: Mutex::default(),
                writer: Arc::default(),
                schema: Arc::default(),
            }),
        }
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn connect(&self) -> Result<Box<dyn Connection>, Fault> {
        let shared = Arc::clone(&self.shared);
        let limit = shared.connect_timeout;
        let permit = timeout(limit, Arc::clone(&shared.permits).acquire_owned()).await;
        let permit = permit
            .map_err(|_| Fault::Timeout(limit))?
            .map_err(|error| Fault::Away(cause(error)))?;
        let idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let raw = match idle {
            Some(raw) => raw,
            None => {
                let path = shared.path.clone();
                let opened = tokio::task::spawn_blocking(move || open(&path)).await;
                opened.map_err(|error| Fault::Away(cause(error)))?.map_err(|error| {
                    match fault(error) {
                        busy @ Fault::Contention(_) => busy,
                        other => Fault::Away(cause(other)),
                    }
                })?
            }
        };
        let raw = Some(raw);
        Ok(Box::new(SqliteConnection { shared, raw, writing: None, schema: None, _permit: permit }))
    }

    fn connections(&self) -> (u32, u32) {
        let Shared { permits, idle, places, .. } = &*self.shared;
        let idle = idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        let used = places.saturating_sub(permits.available_permits());
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (count(used.saturating_add(idle)), count(idle))
    }
}

fn open(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let raw = rusqlite::Connection::open_with_flags(path, flags)?;
    raw.busy_timeout(BUSY)?;
    // "name" that is no column must be an error, not a string.
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    raw.set_prepared_statement_cache_capacity(256);
    // Two processes that make a file into a WAL one at the same time do not wait for each other by themselves.
    let mut tries = 0;
    loop {
        match raw.pragma_update(None, "journal_mode", "wal") {
            Err(error) if tries < 100 && matches!(fault_kind(&error), Kind::Contention) => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            other => break other?,
        }
    }
    raw.pragma_update(None, "synchronous", "full")?;
    Ok(raw)
}

impl SqliteConnection {
    async fn call<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let raw = self.raw.take().ok_or_else(|| Fault::Away(cause("a call was given up")))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&raw);
            (raw, result)
        });
        let (raw, result) = done.await.map_err(|error| Fault::Away(cause(error)))?;
        self.raw = Some(raw);
        result.map_err(fault)
    }
}

#[async_trait]
impl Connection for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute(&mut self, sql: &str, params: &[SqlValue]) -> Result<u64, Fault> {
        let step = [Step::new(sql, params)];
        let outcomes = self.script(&step).await?;
        Ok(outcomes.first().map_or(0, |outcome| outcome.changed))
    }

    async fn query(&mut self, sql: &str, params: &[SqlValue]) -> Result<Vec<SqlRow>, Fault> {
        let step = [Step::new(sql, params)];
        let outcomes = self.script(&step).await?;
        Ok(outcomes.into_iter().next().map(|outcome| outcome.rows).unwrap_or_default())
    }

    async fn ping(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    async fn script(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault> {
        let steps = steps.to_vec();
        self.call(move |raw| run_all(raw, steps)).await
    }

    async fn begin_with(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault> {
        // A turn that a failed call left with us would keep us waiting for ourselves.
        self.writing = None;
        self.writing = Some(Arc::clone(&self.shared.writer).lock_owned().await);
        let steps = steps.to_vec();
        let begin = move |raw: &rusqlite::Connection| {
            raw.execute_batch("BEGIN IMMEDIATE")?;
            run_all(raw, steps)
        };
        self.call(begin).await
    }

    async fn commit_with(&mut self, steps: &[Step]) -> Result<(), Fault> {
        let steps = steps.to_vec();
        let commit = move |raw: &rusqlite::Connection| {
            run_all(raw, steps)?;
            raw.execute_batch("COMMIT")
        };
        self.call(commit).await?;
        self.writing = None;
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        // SQLite rolls back by itself after some errors, a full disk for one.
        let back = |raw: &rusqlite::Connection| match raw.is_autocommit() {
            true => Ok(()),
            false => raw.execute_batch("ROLLBACK"),
        };
        self.call(back).await?;
        self.writing = None;
        Ok(())
    }

    async fn lock_schema(&mut self) -> Result<bool, Fault> {
        let turn = timeout(SCHEMA_LOCK, Arc::clone(&self.shared.schema).lock_owned()).await;
        self.schema = turn.ok();
        Ok(self.schema.is_some())
    }

    fn release(mut self: Box<Self>) {
        if let Some(raw) = self.raw.take() {
            self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).push(raw);
        }
    }
}

/// Closing rolls back and may write the whole log back into the file, so it is no work for an async thread. The turn ends
/// after it.
impl Drop for SqliteConnection {
    fn drop(&mut self) {
        let Some(raw) = self.raw.take() else { return };
        let turn = self.writing.take();
        let close = move || {
            drop(raw);
            drop(turn);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(close)),
            Err(_) => close(),
        }
    }
}

fn run_all(raw: &rusqlite::Connection, steps: Vec<Step>) -> rusqlite::Result<Vec<Outcome>> {
    steps.into_iter().map(|step| run_one(raw, step)).collect()
}

fn run_one(raw: &rusqlite::Connection, Step { sql, params }: Step) -> rusqlite::Result<Outcome> {
    let mut statement = raw.prepare_cached(&sql)?;
    let params = rusqlite::params_from_iter(params.into_iter().map(bound));
    let width = statement.column_count();
    if width == 0 {
        let changed = u64::try_from(statement.execute(params)?).unwrap_or(u64::MAX);
        return Ok(Outcome { changed, ..Outcome::default() });
    }
    let mut found = statement.query(params)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let values = (0..width).map(|index| Ok(value(row.get_ref(index)?)));
        rows.push(SqlRow(values.collect::<rusqlite::Result<_>>()?));
    }
    Ok(Outcome { rows, ..Outcome::default() })
}

fn bound(param: SqlValue) -> Value {
    match param {
        SqlValue::Null => Value::Null,
        SqlValue::Int(int) => Value::Integer(int),
        SqlValue::Real(real) => Value::Real(real),
        SqlValue::Text(text) => Value::Text(text),
        SqlValue::Bytes(bytes) => Value::Blob(bytes),
    }
}

fn value(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(int) => SqlValue::Int(int),
        ValueRef::Real(real) => SqlValue::Real(real),
        ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => SqlValue::Bytes(bytes.to_vec()),
    }
}

enum Kind {
    Away,
    Contention,
    NoSuchTable,
    Duplicate,
    Refused,
}

fn fault(error: rusqlite::Error) -> Fault {
    let kind = fault_kind(&error);
    let why = cause(error);
    match kind {
        Kind::Away => Fault::Away(why),
        Kind::Contention => Fault::Contention(why),
        Kind::NoSuchTable => Fault::NoSuchTable(why),
        Kind::Duplicate => Fault::Duplicate(why),
        Kind::Refused => Fault::Refused(why),
    }
}

fn fault_kind(error: &rusqlite::Error) -> Kind {
    let duplicate =
        |code| matches!(code, ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE);
    match error.sqlite_error() {
        Some(error) if duplicate(error.extended_code) => return Kind::Duplicate,
        Some(_) | None => {}
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Contention,
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::DiskFull
            | ErrorCode::PermissionDenied
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt,
        ) => Kind::Away,
        Some(_) | None if error.to_string().contains("no such table") => Kind::NoSuchTable,
        Some(_) | None => Kind::Refused,
    }
}
