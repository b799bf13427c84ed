//! An empty database that one test owns, and ways past [`CtlDb`] to look into it and to damage it.

use std::path::Path;

use anyhow::{Context, Result};
use ctldb::{CrashPoints, CtlDb, Options};
use ledger::{CtlDbUrl, LdbTable, MySqlUrl, TableSchema, Value};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tempfile::TempDir;
use testkit::mariadb::{Database, MariaDb};
use testkit::mysql::External;

/// An empty database.
pub(crate) enum Place {
    Sqlite(TempDir),
    Server(Database),
}

/// Holds the ledger lock.
pub(crate) enum Holder {
    Sqlite(rusqlite::Connection),
    Server(MySqlConnection),
}

impl Holder {
    pub(crate) async fn release(self) -> Result<()> {
        match self {
            Holder::Sqlite(file) => file.execute_batch("ROLLBACK")?,
            Holder::Server(mut holder) => {
                holder.execute("ROLLBACK").await?;
                holder.close().await?;
            }
        }
        Ok(())
    }
}

impl Place {
    pub(crate) fn sqlite() -> Result<Self> {
        Ok(Place::Sqlite(TempDir::new()?))
    }

    pub(crate) fn server() -> Result<Self> {
        Ok(Place::Server(match External::from_env()? {
            Some(external) => external.create_database()?,
            None => MariaDb::shared().create_database()?,
        }))
    }

    pub(crate) fn url(&self) -> Result<CtlDbUrl> {
        Ok(match self {
            Place::Sqlite(folder) => CtlDbUrl::Sqlite(folder.path().join("ctldb.db")),
            Place::Server(database) => CtlDbUrl::parse(&database.url)?,
        })
    }

    /// A handle, as a process of its own would have one.
    pub(crate) fn open(&self) -> Result<CtlDb> {
        Ok(CtlDb::open(self.url()?)?)
    }

    pub(crate) fn open_with_crashes(&self, crash: CrashPoints) -> Result<CtlDb> {
        Ok(CtlDb::open_with(self.url()?, Options { crash, ..Options::default() })?)
    }

    pub(crate) async fn migrated(&self) -> Result<CtlDb> {
        let ctldb = self.open()?;
        ctldb.migrate().await?;
        Ok(ctldb)
    }

    /// Runs SQL behind ctldb's back.
    pub(crate) async fn sql(&self, statements: &str) -> Result<()> {
        Self::sql_at(&self.url()?, statements).await
    }

    /// The same for somebody who has no place, only its URL.
    pub(crate) async fn sql_at(url: &CtlDbUrl, statements: &str) -> Result<()> {
        match url {
            CtlDbUrl::Sqlite(path) => file_at(path)?.execute_batch(statements)?,
            CtlDbUrl::MySql(url) => {
                let mut connection = connect(url).await?;
                connection.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// The first column of the rows, as text.
    pub(crate) async fn texts(&self, query: &str) -> Result<Vec<String>> {
        match self {
            Place::Sqlite(_) => {
                let file = self.file()?;
                let mut statement = file.prepare(query)?;
                let texts = statement.query_map([], |row| {
                    let value: rusqlite::types::Value = row.get(0)?;
                    Ok(match value {
                        rusqlite::types::Value::Null => "NULL".to_owned(),
                        rusqlite::types::Value::Integer(int) => int.to_string(),
                        rusqlite::types::Value::Real(real) => real.to_string(),
                        rusqlite::types::Value::Text(text) => text,
                        rusqlite::types::Value::Blob(bytes) => {
                            String::from_utf8_lossy(&bytes).into_owned()
                        }
                    })
                })?;
                Ok(texts.collect::<Result<_, _>>()?)
            }
            Place::Server(_) => {
                let mut connection = self.connection().await?;
                // The text protocol: every value comes as text.
                let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(query))).await?;
                let text = |row: &sqlx::mysql::MySqlRow| {
                    let bytes: Option<Vec<u8>> = row.try_get_unchecked(0)?;
                    let bytes = bytes.unwrap_or_else(|| b"NULL".to_vec());
                    Ok(String::from_utf8_lossy(&bytes).into_owned())
                };
                rows.iter().map(text).collect()
            }
        }
    }

    pub(crate) async fn text(&self, query: &str) -> Result<String> {
        self.texts(query).await?.pop().context("no row")
    }

    pub(crate) async fn number(&self, query: &str) -> Result<i64> {
        Ok(self.text(query).await?.parse()?)
    }

    /// Holds what a writer of another process would hold, until it is released.
    pub(crate) async fn hold_the_ledger(&self) -> Result<Holder> {
        Ok(match self {
            Place::Sqlite(_) => {
                let file = self.file()?;
                file.execute_batch("BEGIN IMMEDIATE")?;
                Holder::Sqlite(file)
            }
            Place::Server(_) => {
                let mut holder = self.connection().await?;
                holder.execute("START TRANSACTION").await?;
                let sql = "UPDATE locks SET clock = clock + 1 WHERE id = 'ledger'";
                holder.execute(sql).await?;
                Holder::Server(holder)
            }
        })
    }

    /// How often the ledger lock was taken.
    pub(crate) async fn lock_clock(&self) -> Result<i64> {
        self.number("SELECT clock FROM locks WHERE id = 'ledger'").await
    }

    /// The rows of a mirror table, typed as the database holds them, in key order.
    pub(crate) async fn mirror(&self, schema: &TableSchema) -> Result<Vec<Vec<Value>>> {
        let sql = ordered(schema);
        match self {
            Place::Sqlite(_) => rows_of(&self.file()?, &sql),
            Place::Server(_) => {
                let mut connection = self.connection().await?;
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await?;
                rows.iter().map(|row| typed(row, schema)).collect()
            }
        }
    }

    pub(crate) fn file(&self) -> Result<rusqlite::Connection> {
        match self.url()? {
            CtlDbUrl::Sqlite(path) => file_at(&path),
            CtlDbUrl::MySql(_) => anyhow::bail!("not a file"),
        }
    }

    /// A connection of its own, with quotes as ours.
    pub(crate) async fn connection(&self) -> Result<MySqlConnection> {
        match self.url()? {
            CtlDbUrl::MySql(url) => connect(&url).await,
            CtlDbUrl::Sqlite(_) => anyhow::bail!("not a server"),
        }
    }
}

fn file_at(path: &Path) -> Result<rusqlite::Connection> {
    let file = rusqlite::Connection::open(path)?;
    file.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(file)
}

async fn connect(url: &MySqlUrl) -> Result<MySqlConnection> {
    let MySqlUrl { host, port, user, password, database, .. } = url;
    let mut options =
        MySqlConnectOptions::new().host(host).port(*port).username(user).database(database);
    if !password.is_empty() {
        options = options.password(password);
    }
    let mut connection = MySqlConnection::connect_with(&options).await?;
    connection.execute("SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'").await?;
    Ok(connection)
}

/// All columns in their order, rows in the order of the key.
pub(crate) fn ordered(schema: &TableSchema) -> String {
    let quoted = |name: &ledger::ColumnName| format!("\"{name}\"");
    let columns: Vec<_> = schema.columns().iter().map(|column| quoted(&column.name)).collect();
    let key: Vec<_> = schema.key().iter().map(quoted).collect();
    let table: &LdbTable = schema.table();
    format!("SELECT {} FROM \"{table}\" ORDER BY {}", columns.join(", "), key.join(", "))
}

/// What a SQLite database holds, by the type that SQLite gave each value, not by the declared one.
pub(crate) fn rows_of(file: &rusqlite::Connection, sql: &str) -> Result<Vec<Vec<Value>>> {
    let mut statement = file.prepare(sql)?;
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let value = |index| {
            Ok(match row.get(index)? {
                rusqlite::types::Value::Null => Value::Null,
                rusqlite::types::Value::Integer(int) => Value::Integer(int),
                rusqlite::types::Value::Real(real) => Value::Decimal(real),
                rusqlite::types::Value::Text(text) => Value::Text(text),
                rusqlite::types::Value::Blob(bytes) => Value::Bytes(bytes),
            })
        };
        (0..width).map(value).collect::<rusqlite::Result<Vec<_>>>()
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn typed(row: &sqlx::mysql::MySqlRow, schema: &TableSchema) -> Result<Vec<Value>> {
    use ledger::ColumnType::{Binary, ByteString, Decimal, Integer, String, Text};
    let value = |(index, column): (usize, &ledger::Column)| {
        let value = match column.column_type {
            Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
            Decimal => row.try_get::<Option<f64>, _>(index)?.map(Value::Decimal),
            String | Text => row.try_get::<Option<std::string::String>, _>(index)?.map(Value::Text),
            Binary | ByteString => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Value::Bytes),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    schema.columns().iter().enumerate().map(value).collect()
}
