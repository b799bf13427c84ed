//! The tables of a family, and reading single rows from them.

mod lists;

use std::sync::Arc;
use std::time::Duration;

use ledger::{FamilyName, TableName, TableSchema};
use serde::de::DeserializeOwned;

use crate::session::{Place, Session};
use crate::{Error, KeyValue, Ldb, Row, RowRef, View, freshness, reads};

/// The longest that a view of [`Family::view`] lives.
const LONGEST_VIEW: Duration = Duration::from_millis(100);

/// A family of tables. Names of tables may be given in any case.
///
/// ```
/// # use reader::{Ldb, testing::TestLdb};
/// # use ledger::{ColumnType, Value};
/// # let test = TestLdb::new()?;
/// # let columns = [("region", ColumnType::String), ("id", ColumnType::Integer), ("host", ColumnType::String)];
/// # test.table("routing", "targets", &columns, &["region", "id"])?;
/// # for (id, host) in [(1, "one"), (2, "two")] {
/// #     test.insert("routing", "targets", &[Value::Text("eu".into()), Value::Integer(id), Value::Text(host.into())])?;
/// # }
/// # let ldb = Ldb::open(test.dir())?;
/// let routing = ldb.family("routing")?;
///
/// // One row, by its whole key, in the order of the key.
/// let row = routing.row("targets", &["eu".into(), 2.into()])?.unwrap();
/// assert_eq!(row.get("host"), Some(&Value::Text("two".into())));
///
/// // All rows whose key begins so, in the order of the key.
/// let hosts: Vec<(String, i64)> = routing
///     .list::<Target>("targets", &["eu".into()])?
///     .into_iter()
///     .map(|target| (target.host, target.id))
///     .collect();
/// assert_eq!(hosts, [("one".to_owned(), 1), ("two".to_owned(), 2)]);
///
/// // A wrong key names the column.
/// let error = routing.row("targets", &["eu".into(), "2".into()]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "key column \"id\" of table routing___targets is Integer and takes an integer, not text"
/// );
///
/// #[derive(serde::Deserialize)]
/// struct Target {
///     id: i64,
///     host: String,
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Family {
    inner: Arc<Inner>,
    max_staleness: Option<Duration>,
}

#[derive(Debug)]
struct Inner {
    ldb: Ldb,
    number: usize,
    name: FamilyName,
}

impl Family {
    pub(crate) fn new(ldb: Ldb, number: usize, name: FamilyName) -> Self {
        Self { inner: Arc::new(Inner { ldb, number, name }), max_staleness: None }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &FamilyName {
        &self.inner.name
    }

    /// The LDB that it is in.
    #[must_use]
    pub fn ldb(&self) -> &Ldb {
        &self.inner.ldb
    }

    /// The same family, whose reads fail with [`Error::Stale`] when the LDB is further behind than this. A handle with a
    /// limit is as cheap as one without: keep one, or make one for each read.
    ///
    /// How far behind it is at most: the time since the newest entry in it was written, by the clock of its writer
    /// against the clock of this node (what [`Ldb::latency`] says). What was written before that entry is there; what is
    /// missing was written after it. Where nobody writes, that time grows although nothing is missing, so run
    /// the operator with its heartbeat, which writes an entry every few seconds, and set the limit above its interval.
    ///
    /// ```
    /// # use reader::{Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # use std::time::Duration;
    /// # let test = TestLdb::new()?;
    /// # test.table("billing", "limits", &[("tenant", ColumnType::String)], &["tenant"])?;
    /// # test.insert("billing", "limits", &[Value::Text("acme".into())])?;
    /// let billing = Ldb::open(test.dir())?.family("billing")?;
    /// let fresh = billing.clone().max_staleness(Duration::from_secs(30));
    /// assert!(fresh.row("limits", &["acme".into()])?.is_some());
    ///
    /// # test.sql("UPDATE _ldb_last_update SET timestamp = '2020-01-01 00:00:00+00:00'")?;
    /// // The agent lost its source a while ago:
    /// let error = fresh.row("limits", &["acme".into()]).unwrap_err();
    /// assert!(error.is_stale());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_staleness(mut self, limit: Duration) -> Self {
        self.max_staleness = Some(limit);
        self
    }

    /// Its tables, by name.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn tables(&self) -> Result<Vec<TableName>, Error> {
        self.ldb().read(|session| {
            let tables = session.names_of(self.name())?.iter();
            Ok(tables.map(|table| table.table().clone()).collect())
        })
    }

    /// The columns and the key of a table.
    ///
    /// # Errors
    /// There is no such table, or the LDB cannot be read.
    pub fn schema(&self, table: &str) -> Result<TableSchema, Error> {
        self.shared_schema(table).map(Arc::unwrap_or_clone)
    }

    /// The same, not copied.
    ///
    /// # Errors
    /// As [`Family::schema`].
    pub fn shared_schema(&self, table: &str) -> Result<Arc<TableSchema>, Error> {
        self.ldb().read(|session| {
            let (table, _) = session.table(self.place(table))?;
            Ok(Arc::clone(&table.schema))
        })
    }

    /// The row of this key.
    ///
    /// # Errors
    /// There is no such table, the key does not fit it, or the LDB cannot be read.
    pub fn row(&self, table: &str, key: &[KeyValue<'_>]) -> Result<Option<Row>, Error> {
        self.with_row(table, key, |row| row.to_row())
    }

    /// Lends the row of this key, where SQLite holds it: nothing is copied but what `read` returns. It runs inside the
    /// read, so it should be short, and it may run a second time when SQLite asks for it.
    ///
    /// ```
    /// # use reader::{Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # let test = TestLdb::new()?;
    /// # test.table("routing", "hosts", &[("name", ColumnType::String), ("address", ColumnType::String)], &["name"])?;
    /// # test.insert("routing", "hosts", &[Value::Text("a".into()), Value::Text("10.0.0.1".into())])?;
    /// # let routing = Ldb::open(test.dir())?.family("routing")?;
    /// let local = routing.with_row("hosts", &["a".into()], |row| row.str(1).is_ok_and(|host| host.starts_with("10.")))?;
    /// assert_eq!(local, Some(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Family::row`].
    pub fn with_row<T>(
        &self,
        table: &str,
        key: &[KeyValue<'_>],
        mut read: impl FnMut(RowRef<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        self.read(table, |session, at| reads::with_row(session, at, key, |row| Ok(read(row))))
    }

    /// The row of this key, read into a type: its fields are columns. Columns that it has no field for are left out.
    ///
    /// # Errors
    /// As [`Family::row`], and when the row does not fit the type.
    pub fn get<T: DeserializeOwned>(
        &self,
        table: &str,
        key: &[KeyValue<'_>],
    ) -> Result<Option<T>, Error> {
        self.read(table, |session, at| reads::with_row(session, at, key, |row| row.decode()))
    }

    /// Runs several reads on one state of this family. It lives for 100 ms at most, for the node's agent keeps what it
    /// shows; then its reads fail with [`Error::ViewEnded`]. More on request: [`Family::view_for`].
    ///
    /// ```
    /// # use reader::{Error, Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # let test = TestLdb::new()?;
    /// # for table in ["tenants", "limits"] {
    /// #     test.table("billing", table, &[("tenant", ColumnType::String)], &["tenant"])?;
    /// #     test.insert("billing", table, &[Value::Text("acme".into())])?;
    /// # }
    /// # let billing = Ldb::open(test.dir())?.family("billing")?;
    /// let both = billing.view(|view| {
    ///     let tenant = view.row("tenants", &["acme".into()])?;
    ///     let limit = view.row("limits", &["acme".into()])?;
    ///     Ok::<_, Error>(tenant.zip(limit))
    /// })?;
    /// assert!(both.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What `read` returns, and when the LDB cannot be read.
    pub fn view<T, E: From<Error>>(
        &self,
        read: impl FnOnce(&mut View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.view_for(LONGEST_VIEW, read)
    }

    /// Like [`Family::view`], for another time. The agent cannot shorten its log while an old view is open, and at some
    /// size copies the whole file instead: ask for seconds in tools, not in services.
    ///
    /// # Errors
    /// As [`Family::view`].
    pub fn view_for<T, E: From<Error>>(
        &self,
        most: Duration,
        read: impl FnOnce(&mut View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        read(&mut View::begin(self, most)?)
    }

    /// Runs a read of a table, in the view of this thread.
    #[inline]
    pub(crate) fn read<T>(
        &self,
        table: &str,
        mut read: impl FnMut(&mut Session, Place<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.ldb().read(|session| {
            self.check_fresh(session)?;
            read(session, self.place(table))
        })
    }

    /// Refuses a view that is too far behind.
    #[inline]
    pub(crate) fn check_fresh(&self, session: &mut Session) -> Result<(), Error> {
        match self.max_staleness {
            Some(limit) => freshness::check(session.last_update()?, limit),
            None => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn place<'a>(&'a self, table: &'a str) -> Place<'a> {
        Place { family: &self.inner.name, number: self.inner.number, table }
    }
}
