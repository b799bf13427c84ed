//! The reads of a family, within one view. [`Family`](crate::Family) runs each in a view of its own,
//! [`View`](crate::View) runs several in the same.

use std::ops::ControlFlow;

use serde::de::DeserializeOwned;

use crate::session::{Place, Session};
use crate::{Error, KeyValue, ResumeKey, Row, RowRef};

pub(crate) fn with_row<T>(
    session: &mut Session,
    at: Place<'_>,
    key: &[KeyValue<'_>],
    mut read: impl FnMut(RowRef<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let (table, connection) = session.table(at)?;
    table.check_whole_key(key)?;
    let mut found = None;
    table.each(connection, key, None, |row| {
        found = Some(read(row)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

pub(crate) fn rows_by_keys(
    session: &mut Session,
    at: Place<'_>,
    keys: &[&[KeyValue<'_>]],
) -> Result<Vec<Option<Row>>, Error> {
    keys.iter().map(|key| with_row(session, at, key, |row| Ok(row.to_row()))).collect()
}

pub(crate) fn each(
    session: &mut Session,
    at: Place<'_>,
    prefix: &[KeyValue<'_>],
    after: Option<&ResumeKey>,
    read: impl FnMut(RowRef<'_>) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let (table, connection) = session.table(at)?;
    table.each(connection, prefix, after, read)
}

/// Refuses an empty prefix: whoever reads a whole table says so.
pub(crate) fn check_prefix(
    session: &mut Session,
    at: Place<'_>,
    prefix: &[KeyValue<'_>],
) -> Result<(), Error> {
    if !prefix.is_empty() {
        return Ok(());
    }
    let (table, _) = session.table(at)?;
    Err(Error::NoPrefix { table: table.schema.table().clone() })
}

pub(crate) fn rows(
    session: &mut Session,
    at: Place<'_>,
    prefix: &[KeyValue<'_>],
) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    each(session, at, prefix, None, |row| {
        rows.push(row.to_row());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rows)
}

pub(crate) fn list<T: DeserializeOwned>(
    session: &mut Session,
    at: Place<'_>,
    prefix: &[KeyValue<'_>],
) -> Result<Vec<T>, Error> {
    let mut list = Vec::new();
    each(session, at, prefix, None, |row| {
        list.push(row.decode()?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(list)
}

/// At most `most` rows after a key, each with its own key.
pub(crate) fn page(
    session: &mut Session,
    at: Place<'_>,
    prefix: &[KeyValue<'_>],
    after: Option<&ResumeKey>,
    most: usize,
) -> Result<Vec<(Row, ResumeKey)>, Error> {
    let mut rows = Vec::new();
    let (table, connection) = session.table(at)?;
    // Looked at even if no row is asked for, so that errors do not depend on the limit.
    table.each(connection, prefix, after, |row| {
        if rows.len() < most {
            rows.push((row.to_row(), row.resume_key()?));
        }
        Ok(if rows.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(rows)
}
