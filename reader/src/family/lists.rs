//! Reading many rows: of several keys, of a part of a key, of a whole table.

use serde::de::DeserializeOwned;

use crate::{Error, Family, KeyValue, Row, Rows, reads};

impl Family {
    /// The rows of these keys, of one state and in the order of the keys; none for a key that has no row.
    ///
    /// ```
    /// # use reader::{Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # let test = TestLdb::new()?;
    /// # test.table("billing", "limits", &[("tenant", ColumnType::String)], &["tenant"])?;
    /// # test.insert("billing", "limits", &[Value::Text("acme".into())])?;
    /// # let billing = Ldb::open(test.dir())?.family("billing")?;
    /// let rows = billing.rows_by_keys("limits", &[&["nobody".into()], &["acme".into()]])?;
    /// assert!(rows[0].is_none() && rows[1].is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Family::row`].
    pub fn rows_by_keys(
        &self,
        table: &str,
        keys: &[&[KeyValue<'_>]],
    ) -> Result<Vec<Option<Row>>, Error> {
        self.read(table, |session, at| reads::rows_by_keys(session, at, keys))
    }

    /// The rows whose key begins with these values, of one state and in the order of the key. For a whole table say
    /// [`Family::scan`]; for more rows than fit in memory, [`Family::rows_with_prefix`].
    ///
    /// # Errors
    /// There is no such table, no value is given, the values do not fit its key, or the LDB cannot be read.
    pub fn rows(&self, table: &str, prefix: &[KeyValue<'_>]) -> Result<Vec<Row>, Error> {
        self.read(table, |session, at| {
            reads::check_prefix(session, at, prefix)?;
            reads::rows(session, at, prefix)
        })
    }

    /// Like [`Family::rows`], read into a type.
    ///
    /// # Errors
    /// As [`Family::rows`], and when a row does not fit the type.
    pub fn list<T: DeserializeOwned>(
        &self,
        table: &str,
        prefix: &[KeyValue<'_>],
    ) -> Result<Vec<T>, Error> {
        self.read(table, |session, at| {
            reads::check_prefix(session, at, prefix)?;
            reads::list(session, at, prefix)
        })
    }

    /// The rows whose key begins with these values, of any number: an iterator in the order of the key that reads page by
    /// page.
    ///
    /// ```
    /// # use reader::{Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # let test = TestLdb::new()?;
    /// # let columns = [("region", ColumnType::String), ("id", ColumnType::Integer)];
    /// # test.table("routing", "targets", &columns, &["region", "id"])?;
    /// # for id in 0..5 { test.insert("routing", "targets", &[Value::Text("eu".into()), Value::Integer(id)])?; }
    /// # let routing = Ldb::open(test.dir())?.family("routing")?;
    /// let mut first = routing.rows_with_prefix("targets", &["eu".into()]).limit(2);
    /// for row in first.by_ref() {
    ///     println!("{:?}", row?.get("id"));
    /// }
    /// let rest = routing.rows_with_prefix("targets", &["eu".into()]).after(first.resume_key().unwrap().clone());
    /// assert_eq!(rest.count(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// What is wrong with the table or the values is the first thing that the iterator returns.
    pub fn rows_with_prefix(&self, table: &str, prefix: &[KeyValue<'_>]) -> Rows {
        Rows::new(self.clone(), table, prefix)
    }

    /// All rows of a table, as [`Family::rows_with_prefix`] returns some of them. Counted in
    /// [`Stats::full_scans`](crate::Stats::full_scans): a program that does this at each request should ask for less.
    ///
    /// ```
    /// # use reader::{Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # let test = TestLdb::new()?;
    /// # test.table("billing", "limits", &[("tenant", ColumnType::String)], &["tenant"])?;
    /// # test.insert("billing", "limits", &[Value::Text("acme".into())])?;
    /// # let ldb = Ldb::open(test.dir())?;
    /// # let billing = ldb.family("billing")?;
    /// #[derive(serde::Deserialize)]
    /// struct Limit {
    ///     tenant: String,
    /// }
    ///
    /// let limits: Vec<Limit> = billing.scan("limits").decode().collect::<Result<_, _>>()?;
    /// assert_eq!(limits[0].tenant, "acme");
    /// assert_eq!(ldb.stats().full_scans, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scan(&self, table: &str) -> Rows {
        self.ldb().0.counters.scanned();
        Rows::whole(self.clone(), table)
    }

    /// All rows of a table at once, of one state; counted as [`Family::scan`] is.
    ///
    /// # Errors
    /// There is no such table, or the LDB cannot be read.
    pub fn all(&self, table: &str) -> Result<Vec<Row>, Error> {
        self.ldb().0.counters.scanned();
        self.read(table, |session, at| reads::rows(session, at, &[]))
    }
}
