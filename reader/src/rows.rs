//! Rows one after the other, of any number: read page by page, so that no transaction stays open while the application
//! works on them.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;

use crate::{Error, Family, KeyValue, ResumeKey, Row, reads};

/// Rows that are read at once.
const PAGE: usize = 256;

/// The rows of [`Family::rows_with_prefix`] and [`Family::scan`], in the order of the key. Each page of 256 rows is one
/// state; rows that are written between two pages may be among them. (For one state of all rows: [`Family::rows`], or
/// [`Family::view`].)
///
/// After an error it ends. [`Rows::resume_key`] says where to go on, now or later.
#[derive(Debug)]
#[must_use = "reads nothing until it is iterated"]
pub struct Rows {
    family: Family,
    table: String,
    /// Nobody reads a whole table by mistake.
    whole: bool,
    prefix: Vec<Owned>,
    after: Option<ResumeKey>,
    limit: usize,
    page: VecDeque<(Row, ResumeKey)>,
    ended: bool,
}

#[derive(Debug)]
enum Owned {
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
}

impl Rows {
    pub(crate) fn new(family: Family, table: &str, prefix: &[KeyValue<'_>]) -> Self {
        let own = |value: &KeyValue<'_>| match value {
            KeyValue::Text(text) => Owned::Text((*text).to_owned()),
            KeyValue::Integer(integer) => Owned::Integer(*integer),
            KeyValue::Bytes(bytes) => Owned::Bytes(bytes.to_vec()),
        };
        Self {
            family,
            table: table.to_owned(),
            whole: false,
            prefix: prefix.iter().map(own).collect(),
            after: None,
            limit: usize::MAX,
            page: VecDeque::new(),
            ended: false,
        }
    }

    pub(crate) fn whole(family: Family, table: &str) -> Self {
        Self { whole: true, ..Self::new(family, table, &[]) }
    }

    /// At most so many more rows.
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows;
        self
    }

    /// Only rows after this key: that of the last row of a page before.
    pub fn after(mut self, key: ResumeKey) -> Self {
        self.after = Some(key);
        self
    }

    /// The key of the last row that was handed out, or the one that was given to [`Rows::after`].
    #[must_use]
    pub fn resume_key(&self) -> Option<&ResumeKey> {
        self.after.as_ref()
    }

    /// Reads each row into a type.
    pub fn decode<T: DeserializeOwned>(self) -> impl Iterator<Item = Result<T, Error>> {
        self.map(|row| row?.decode())
    }

    fn next_page(&mut self) -> Result<(), Error> {
        let borrow = |owned| match owned {
            &Owned::Integer(integer) => KeyValue::Integer(integer),
            Owned::Text(text) => KeyValue::Text(text),
            Owned::Bytes(bytes) => KeyValue::Bytes(bytes),
        };
        let prefix: Vec<_> = self.prefix.iter().map(borrow).collect();
        let (most, after) = (self.limit.min(PAGE), self.after.as_ref());
        let page = self.family.read(&self.table, |session, at| {
            if !self.whole {
                reads::check_prefix(session, at, &prefix)?;
            }
            reads::page(session, at, &prefix, after, most)
        })?;
        self.ended = page.len() < PAGE;
        self.page = page.into();
        Ok(())
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && !self.ended
            && let Err(error) = self.next_page()
        {
            self.ended = true;
            return Some(Err(error));
        }
        let (row, key) = self.page.pop_front()?;
        self.limit -= 1;
        self.ended |= self.limit == 0;
        self.after = Some(key);
        Some(Ok(row))
    }
}
