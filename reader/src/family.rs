//! The tables of a family, and reading from them.

use std::ops::ControlFlow;

use ledger::{FamilyName, LdbTable, TableName, TableSchema};
use serde::de::DeserializeOwned;

use crate::{Error, KeyValue, Ldb, Row};

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
/// // All rows whose key begins so, in the order of the key; an empty prefix is the whole table.
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
    ldb: Ldb,
    name: FamilyName,
}

impl Family {
    pub(crate) fn new(ldb: Ldb, name: FamilyName) -> Self {
        Self { ldb, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &FamilyName {
        &self.name
    }

    /// Its tables, by name.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn tables(&self) -> Result<Vec<TableName>, Error> {
        self.ldb.read(|view| {
            let tables = view.tables_of(&self.name)?.iter();
            Ok(tables.map(|table| table.table().clone()).collect())
        })
    }

    /// The columns and the key of a table.
    ///
    /// # Errors
    /// There is no such table, or the LDB cannot be read.
    pub fn schema(&self, table: &str) -> Result<TableSchema, Error> {
        let table = self.table(table)?;
        self.ldb.read(|view| Ok(TableSchema::clone(&view.table(&table)?.schema)))
    }

    /// The row of this key.
    ///
    /// # Errors
    /// There is no such table, the key does not fit it, or the LDB cannot be read.
    pub fn row(&self, table: &str, key: &[KeyValue<'_>]) -> Result<Option<Row>, Error> {
        let table = self.table(table)?;
        self.ldb.read(|view| {
            let known = view.table(&table)?;
            if known.schema.key().len() != key.len() {
                return Err(known.key_count(key.len()));
            }
            let mut found = None;
            view.scan(&table, key, &mut |row| {
                found = Some(row);
                ControlFlow::Break(())
            })?;
            Ok(found)
        })
    }

    /// The rows whose key begins with these values, in the order of the key. No value at all means the whole table.
    ///
    /// # Errors
    /// There is no such table, the values do not fit its key, or the LDB cannot be read.
    pub fn rows(&self, table: &str, prefix: &[KeyValue<'_>]) -> Result<Vec<Row>, Error> {
        self.rows_up_to(table, prefix, usize::MAX)
    }

    /// Like [`Family::rows`], but stops after `limit` rows.
    ///
    /// # Errors
    /// As [`Family::rows`].
    pub fn rows_up_to(
        &self,
        table: &str,
        prefix: &[KeyValue<'_>],
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let table = self.table(table)?;
        self.ldb.read(|view| {
            let mut rows = Vec::new();
            // Looked at even if no row is asked for, so that errors do not depend on the limit.
            view.scan(&table, prefix, &mut |row| {
                if rows.len() == limit {
                    return ControlFlow::Break(());
                }
                rows.push(row);
                if rows.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok(rows)
        })
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
        self.row(table, key)?.map(|row| row.decode()).transpose()
    }

    /// The rows whose key begins with these values, read into a type, in the order of the key.
    ///
    /// # Errors
    /// As [`Family::rows`], and when a row does not fit the type.
    pub fn list<T: DeserializeOwned>(
        &self,
        table: &str,
        prefix: &[KeyValue<'_>],
    ) -> Result<Vec<T>, Error> {
        self.rows(table, prefix)?.iter().map(Row::decode).collect()
    }

    fn table(&self, name: &str) -> Result<LdbTable, Error> {
        Ok(LdbTable::new(self.name.clone(), TableName::parse_folded(name)?)?)
    }
}
