//! Several reads of one state.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::clock::coarse_ms;
use crate::session::{Place, Session};
use crate::slot::Lent;
use crate::{Error, Family, KeyValue, ResumeKey, Row, RowRef, reads};

/// One state of a family, lent to the closure of [`Family::view`].
#[derive(Debug)]
pub struct View<'a> {
    family: &'a Family,
    lent: Lent,
    /// The number of the session's view.
    number: u64,
    until_ms: u64,
    most: Duration,
}

impl<'a> View<'a> {
    pub(crate) fn begin(family: &'a Family, most: Duration) -> Result<Self, Error> {
        let ldb = family.ldb();
        let until_ms = coarse_ms().saturating_add(millis(most));
        let mut view = Self { family, lent: ldb.lend()?, number: 0, until_ms, most };
        view.lent.keep_until(until_ms);
        let number = ldb.read_in(&view.lent, &mut |session| {
            family.check_fresh(session)?;
            Ok(session.view())
        })?;
        view.number = number.ok_or_else(|| view.ended())?;
        Ok(view)
    }

    /// The row of this key. See [`Family::row`].
    ///
    /// # Errors
    /// As there, and the view has ended ([`Error::is_view_ended`]).
    pub fn row(&mut self, table: &str, key: &[KeyValue<'_>]) -> Result<Option<Row>, Error> {
        self.with_row(table, key, |row| row.to_row())
    }

    /// Lends the row of this key. See [`Family::with_row`].
    ///
    /// # Errors
    /// As [`View::row`].
    pub fn with_row<T>(
        &mut self,
        table: &str,
        key: &[KeyValue<'_>],
        mut read: impl FnMut(RowRef<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        self.read(table, |session, at| reads::with_row(session, at, key, |row| Ok(read(row))))
    }

    /// The row of this key, read into a type. See [`Family::get`].
    ///
    /// # Errors
    /// As [`View::row`], and when the row does not fit the type.
    pub fn get<T: DeserializeOwned>(
        &mut self,
        table: &str,
        key: &[KeyValue<'_>],
    ) -> Result<Option<T>, Error> {
        self.read(table, |session, at| reads::with_row(session, at, key, |row| row.decode()))
    }

    /// The rows of these keys. See [`Family::rows_by_keys`].
    ///
    /// # Errors
    /// As [`View::row`].
    pub fn rows_by_keys(
        &mut self,
        table: &str,
        keys: &[&[KeyValue<'_>]],
    ) -> Result<Vec<Option<Row>>, Error> {
        self.read(table, |session, at| reads::rows_by_keys(session, at, keys))
    }

    /// The rows whose key begins with these values; all rows without a value. See [`Family::rows`].
    ///
    /// # Errors
    /// As [`View::row`].
    pub fn rows(&mut self, table: &str, prefix: &[KeyValue<'_>]) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.each(table, prefix, |row| {
            rows.push(row.to_row());
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Lends the rows whose key begins with these values one after the other, in the order of the key, until `read`
    /// breaks. No value at all means the whole table.
    ///
    /// # Errors
    /// As [`View::row`]; the view may also end between two rows.
    pub fn each(
        &mut self,
        table: &str,
        prefix: &[KeyValue<'_>],
        read: impl FnMut(RowRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.each_after(table, prefix, None, read)
    }

    /// The same, of those after a row if one is given: [`RowRef::resume_key`] of a list that was read before.
    ///
    /// # Errors
    /// As [`View::each`], and the key of that row does not fit the table.
    pub fn each_after(
        &mut self,
        table: &str,
        prefix: &[KeyValue<'_>],
        after: Option<&ResumeKey>,
        mut read: impl FnMut(RowRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let (until_ms, most) = (self.until_ms, self.most);
        if prefix.is_empty() {
            self.family.ldb().0.counters.scanned();
        }
        self.read(table, |session, at| {
            reads::each(session, at, prefix, after, |row| {
                if coarse_ms() > until_ms {
                    return Err(Error::ViewEnded { most });
                }
                Ok(read(row))
            })
        })
    }

    /// The rows whose key begins with these values, read into a type. See [`Family::list`].
    ///
    /// # Errors
    /// As [`View::row`], and when a row does not fit the type.
    pub fn list<T>(&mut self, table: &str, prefix: &[KeyValue<'_>]) -> Result<Vec<T>, Error>
    where
        T: for<'row> Deserialize<'row>,
    {
        self.read(table, |session, at| reads::list(session, at, prefix))
    }

    fn read<T>(
        &mut self,
        table: &str,
        mut read: impl FnMut(&mut Session, Place<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut guard = self.lent.lock();
        let open = guard.as_mut().filter(|session| session.view() == Some(self.number));
        let (Some(session), true) = (open, coarse_ms() <= self.until_ms) else {
            return Err(self.ended());
        };
        let outcome = read(session, self.family.place(table));
        if matches!(outcome, Err(Error::Sqlite(_))) {
            // SQLite may have ended the transaction: what is read from here on could be another state.
            self.lent.ended();
            if session.end().is_err() {
                *guard = None;
            }
        }
        outcome
    }

    fn ended(&self) -> Error {
        Error::ViewEnded { most: self.most }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        self.lent.keep_until(0);
        self.family.ldb().leave_view(&self.lent);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
