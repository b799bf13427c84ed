//! What the logic needs of a database: a connection that runs statements with bound parameters, and transactions.

use async_trait::async_trait;
use ledger::Value;

use crate::dialect::Dialect;
use crate::{Error, Fault};

/// A value on its way to or from a database.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SqlValue {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row of a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SqlRow(pub(crate) Vec<SqlValue>);

/// A statement of our own bookkeeping, with its parameters. A `?` in it is always a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) sql: String,
    pub(crate) params: Vec<SqlValue>,
}

/// What became of a step.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) changed: u64,
    pub(crate) rows: Vec<SqlRow>,
    /// The number that it gave to `LAST_INSERT_ID`; none on SQLite.
    pub(crate) given: Option<u64>,
}

/// A database: hands out connections. Making one never touches the network.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    async fn connect(&self) -> Result<Box<dyn Connection>, Fault>;

    /// Connections that are open, and those of them that nobody uses.
    fn connections(&self) -> (u32, u32);
}

/// A connection. Dropped, it is closed and its open transaction is void; only [`Connection::release`] gives it back.
#[async_trait]
pub(crate) trait Connection: Send {
    fn dialect(&self) -> Dialect;

    /// Runs a statement; says how many rows it changed.
    async fn execute(&mut self, sql: &str, params: &[SqlValue]) -> Result<u64, Fault>;

    async fn query(&mut self, sql: &str, params: &[SqlValue]) -> Result<Vec<SqlRow>, Fault>;

    /// Does it still work? It may have lain unused while the server went away.
    async fn ping(&mut self) -> Result<(), Fault>;

    /// Runs statements one after the other, in one round trip, up to the first that fails.
    async fn script(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault>;

    /// Begins a write transaction and runs its first statements, in one round trip. Each statement sees what was committed
    /// before that statement. After a failure a transaction may be open.
    async fn begin_with(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Fault>;

    /// Runs the last statements of the transaction and commits it, in one round trip. When a statement fails nothing is
    /// committed, and the transaction is still open.
    async fn commit_with(&mut self, steps: &[Step]) -> Result<(), Fault>;

    async fn rollback(&mut self) -> Result<(), Fault>;

    /// Takes the one lock under which tables are changed, for as long as this connection lives. False: somebody else
    /// holds it and did not let go in time.
    async fn lock_schema(&mut self) -> Result<bool, Fault>;

    /// Takes the connection back for others. Never called inside a transaction.
    fn release(self: Box<Self>);
}

impl Step {
    pub(crate) fn new(sql: impl Into<String>, params: impl Into<Vec<SqlValue>>) -> Self {
        Self { sql: sql.into(), params: params.into() }
    }
}

impl SqlRow {
    /// Some of its columns, as a row of their own.
    pub(crate) fn part(&self, columns: std::ops::Range<usize>) -> Self {
        Self(self.0[columns].to_vec())
    }

    pub(crate) fn int(&self, index: usize) -> Result<i64, Error> {
        match &self.0[index] {
            SqlValue::Int(int) => Ok(*int),
            other => Err(unexpected("a number", other)),
        }
    }

    pub(crate) fn unsigned(&self, index: usize) -> Result<u64, Error> {
        let int = self.int(index)?;
        u64::try_from(int)
            .map_err(|_| Error::Corrupt { what: format!("{int} where no negative number can be") })
    }

    pub(crate) fn text(&self, index: usize) -> Result<&str, Error> {
        match &self.0[index] {
            SqlValue::Text(text) => Ok(text),
            other => Err(unexpected("text", other)),
        }
    }

    pub(crate) fn bytes(&self, index: usize) -> Result<&[u8], Error> {
        match &self.0[index] {
            SqlValue::Bytes(bytes) => Ok(bytes),
            // SQLite stores what it got, and the original's SQLite wrote cookies as text.
            SqlValue::Text(text) => Ok(text.as_bytes()),
            other => Err(unexpected("bytes", other)),
        }
    }

    /// `None` for NULL, else what `read` makes of it.
    pub(crate) fn optional<'a, T>(
        &'a self,
        index: usize,
        read: impl FnOnce(&'a Self, usize) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match &self.0[index] {
            SqlValue::Null => Ok(None),
            _ => read(self, index).map(Some),
        }
    }
}

fn unexpected(wanted: &str, found: &SqlValue) -> Error {
    let kind = match found {
        SqlValue::Null => "NULL",
        SqlValue::Int(_) => "a number",
        SqlValue::Real(_) => "a fraction",
        SqlValue::Text(_) => "text",
        SqlValue::Bytes(_) => "bytes",
    };
    Error::Corrupt { what: format!("{kind} stands where {wanted} should be") }
}

impl From<&Value> for SqlValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => SqlValue::Null,
            Value::Integer(int) => SqlValue::Int(*int),
            // Adding zero makes zero of minus zero, as the ledger's text does.
            Value::Decimal(real) => SqlValue::Real(*real + 0.0),
            Value::Text(text) => SqlValue::Text(text.clone()),
            Value::Bytes(bytes) => SqlValue::Bytes(bytes.clone()),
        }
    }
}

impl From<i64> for SqlValue {
    fn from(int: i64) -> Self {
        SqlValue::Int(int)
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        SqlValue::Text(text.to_owned())
    }
}

impl From<String> for SqlValue {
    fn from(text: String) -> Self {
        SqlValue::Text(text)
    }
}

impl From<&[u8]> for SqlValue {
    fn from(bytes: &[u8]) -> Self {
        SqlValue::Bytes(bytes.to_vec())
    }
}

impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(SqlValue::Null, Into::into)
    }
}
