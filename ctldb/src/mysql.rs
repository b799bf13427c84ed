//! The back end for MySQL and MariaDB: a bounded pool whose connections all have the same modes.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use ledger::{MySqlUrl, Tls};
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlPoolOptions, MySqlRow, MySqlSslMode};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Either, Executor as _, MySql as Driver,
    MySqlPool, Row as _, Type, TypeInfo as _, ValueRef as _,
};

use crate::connection::{Backend, Connection, Outcome, SqlRow, SqlValue, Step};
use crate::dialect::Dialect;
use crate::fault::cause;
use crate::mysql_fault::{fault, refused_to_connect};
use crate::{Fault, Options, mysql_text};

/// What every connection is set to, whatever the server's operator set for all. The server cuts one that froze inside its
/// transaction after `wait_timeout`, and so frees the ledger lock.
const SETTINGS: &str = "SET NAMES utf8mb4; \
    SET SESSION sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES', \
    time_zone = '+00:00', autocommit = 1, innodb_lock_wait_timeout = 5, lock_wait_timeout = 5, \
    wait_timeout = 10, net_read_timeout = 10, net_write_timeout = 10, \
    sql_safe_updates = 0, sql_select_limit = 18446744073709551615; \
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Shorter than `wait_timeout`, so that idle connections end by our hand.
const IDLE: Duration = Duration::from_secs(6);

/// DDL gives up soon, for behind it everybody waits who wants the table.
const SCHEMA_LOCK: &str = "SET SESSION lock_wait_timeout = 2";
/// MariaDB's own limit may be set for all, and would kill each long ALTER.
const UNLIMITED: &str = "SET SESSION max_statement_time = 0";
const GET_LOCK: &str = "SELECT GET_LOCK(CONCAT('ctlstore:', LEFT(SHA2(DATABASE(), 256), 40)), 10)";

pub(crate) struct MySql {
    connect: MySqlConnectOptions,
    pool_options: MySqlPoolOptions,
    // Made by the first call: a pool starts a task, for which there must be a runtime.
    pool: OnceLock<MySqlPool>,
}

struct MySqlConnection {
    raw: Option<PoolConnection<Driver>>,
    /// It holds the schema lock and has settings of its own; nobody else may get it.
    holds_schema_lock: bool,
}

impl MySql {
    pub(crate) fn new(url: &MySqlUrl, options: &Options) -> Self {
        let MySqlUrl { host, port, user, password, database, tls, ca_file } = url;
        let mut connect = MySqlConnectOptions::new()
            .host(host)
            .port(*port)
            .username(user)
            .database(database)
            .ssl_mode(ssl_mode(*tls))
            .charset("utf8mb4")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .statement_cache_capacity(256)
            // Statements hold rows of users, which belong in no log.
            .disable_statement_logging();
        if !password.is_empty() {
            connect = connect.password(password);
        }
        if let Some(file) = ca_file {
            connect = connect.ssl_ca(file);
        }
        let pool_options = MySqlPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.connect_timeout)
            .idle_timeout(IDLE)
            // Whoever asks for a connection finds out by its first statement, see `CtlDb::session`.
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(
                    async move { connection.execute(sqlx::raw_sql(SETTINGS)).await.map(|_| ()) },
                )
            });
        Self { connect, pool_options, pool: OnceLock::new() }
    }
}

fn ssl_mode(tls: Tls) -> MySqlSslMode {
    match tls {
        Tls::Disabled => MySqlSslMode::Disabled,
        Tls::Preferred => MySqlSslMode::Preferred,
        Tls::Required => MySqlSslMode::Required,
        Tls::VerifyCa => MySqlSslMode::VerifyCa,
        Tls::VerifyIdentity => MySqlSslMode::VerifyIdentity,
    }
}

#[async_trait]
impl Backend for MySql {
    async fn connect(&self) -> Result<Box<dyn Connection>, Fault> {
        let pool = self
            .pool
            .get_or_init(|| self.pool_options.clone().connect_lazy_with(self.connect.clone()));
        match pool.acquire().await {
            Ok(raw) => Ok(Box::new(MySqlConnection { raw: Some(raw), holds_schema_lock: false })),
            Err(sqlx::Error::PoolTimedOut) if pool.size() == 0 => Err(self.why_not().await),
            Err(error) => Err(refused_to_connect(error)),
        }
    }

    fn connections(&self) -> (u32, u32) {
        let state = |pool: &MySqlPool| (pool.size(), u32::try_from(pool.num_idle()).unwrap_or(0));
        self.pool.get().map_or((0, 0), state)
    }
}

impl MySql {
    /// The pool tries to connect until its time is over, and does not say what went wrong.
    async fn why_not(&self) -> Fault {
        let once = sqlx::MySqlConnection::connect_with(&self.connect);
        match tokio::time::timeout(Duration::from_millis(500), once).await {
            Ok(Err(error)) => refused_to_connect(error),
            Ok(Ok(_)) | Err(_) => Fault::Away(cause(sqlx::Error::PoolTimedOut)),
        }
    }
}

impl MySqlConnection {
    fn raw(&mut self) -> &mut sqlx::MySqlConnection {
        self.raw.as_mut().expect("BUG: only drop and release take the connection")
    }

    /// Several statements in one text, of which the server runs those before the first that fails.
    async fn text(&mut self, sql: &str) -> Result<Vec<Outcome>, Fault> {
        let mut results = self.raw().fetch_many(sqlx::raw_sql(AssertSqlSafe(sql)));
        let (mut outcomes, mut rows) = (Vec::new(), Vec::new());
        while let Some(result) = results.try_next().await.map_err(fault)? {
            match result {
                Either::Left(done) => {
                    let rows = std::mem::take(&mut rows);
                    let given = Some(done.last_insert_id()).filter(|given| *given > 0);
                    outcomes.push(Outcome { changed: done.rows_affected(), rows, given });
                }
                Either::Right(row) => rows.push(sql_row(&row).map_err(fault)?),
            }
        }
        Ok(outcomes)
    }

    /// Without parameters and without a prepared statement, which not every statement can be.
    async fn plain(&mut self, sql: &str) -> Result<u64, Fault> {
        let done = self.raw().execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
        done.map(|result| result.rows_affected()).map_err(fault)
    }
}

#[async_trait]
impl Connection for MySqlConnection {
    fn dialect(&self) -> Dialect {
        Dialect::MySql
    }

    async fn execute(&mut self, sql: &str, params: &[SqlValue]) -> Result<u64, Fault> {
        if params.is_empty() {
            return self.plain(sql).await;
        }
        let done = self.raw().execute(bound(sql, params)).await;
        done.map(|result| result.rows_affected()).map_err(fault)
    }

    async fn query(&mut self, sql: &str, params: &[SqlValue]) -> Result<Vec<SqlRow>, Fault> {
        let rows = self.raw().fetch_all(bound(sql, params)).await.map_err(fault)?;
        let rows: Result<_, _> = rows.iter().map(sql_row).collect();
        rows.map_err(fault)
    }

    async fn ping(&mut self) -> Result<(), Fault> {
        self.raw().ping().await.map_err(fault)
    }

    async fn script(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault> {
        self.text(&mysql_text::joined(None, steps, None)).await
    }

    async fn begin_with(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault> {
        let text = mysql_text::joined(Some("START TRANSACTION"), steps, None);
        let mut outcomes = self.text(&text).await?;
        outcomes.remove(0);
        Ok(outcomes)
    }

    async fn commit_with(&mut self, steps: &[Step]) -> Result<(), Fault> {
        let text = mysql_text::joined(None, steps, Some("COMMIT"));
        self.text(&text).await.map(|_| ())
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        self.plain("ROLLBACK").await.map(|_| ())
    }

    async fn lock_schema(&mut self) -> Result<bool, Fault> {
        self.holds_schema_lock = true;
        self.plain(SCHEMA_LOCK).await?;
        match self.plain(UNLIMITED).await {
            // MySQL has no such setting, and limits nothing but SELECT.
            Ok(_) | Err(Fault::Refused(_)) => {}
            Err(fault) => return Err(fault),
        }
        let rows = self.query(GET_LOCK, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.0.first() == Some(&SqlValue::Int(1))))
    }

    fn release(mut self: Box<Self>) {
        if !self.holds_schema_lock && tokio::runtime::Handle::try_current().is_ok() {
            // Dropped by itself, it goes back to the pool, by a task of the pool's.
            drop(self.raw.take());
        }
    }
}

impl Drop for MySqlConnection {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            // Out of the pool and closed: the server rolls back and frees the locks.
            drop(raw.detach());
        }
    }
}

fn bound(sql: &str, params: &[SqlValue]) -> Query<'static, Driver, MySqlArguments> {
    let query = sqlx::query(AssertSqlSafe(sql));
    params.iter().fold(query, |query, param| match param {
        SqlValue::Null => query.bind(None::<i64>),
        SqlValue::Int(int) => query.bind(*int),
        SqlValue::Real(real) => query.bind(*real),
        SqlValue::Text(text) => query.bind(text.clone()),
        SqlValue::Bytes(bytes) => query.bind(bytes.clone()),
    })
}

fn sql_row(row: &MySqlRow) -> Result<SqlRow, sqlx::Error> {
    (0..row.len()).map(|index| value(row, index)).collect::<Result<_, _>>().map(SqlRow)
}

fn value(row: &MySqlRow, index: usize) -> Result<SqlValue, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(SqlValue::Null);
    }
    let info = raw.type_info().into_owned();
    // By the collation and not by the type's name, which takes text of a binary collation, such as ours, for bytes.
    if <str as Type<Driver>>::compatible(&info) {
        return row.try_get_unchecked(index).map(SqlValue::Text);
    }
    if <[u8] as Type<Driver>>::compatible(&info) {
        return row.try_get_unchecked(index).map(SqlValue::Bytes);
    }
    match info.name() {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => {
            row.try_get_unchecked(index).map(SqlValue::Int)
        }
        name if name.ends_with(" UNSIGNED") => {
            let number: u64 = row.try_get_unchecked(index)?;
            i64::try_from(number)
                .map(SqlValue::Int)
                .map_err(|error| sqlx::Error::Decode(error.into()))
        }
        "FLOAT" | "DOUBLE" => row.try_get_unchecked(index).map(SqlValue::Real),
        other => Err(sqlx::Error::Decode(format!("column {index} has the type {other}").into())),
    }
}
