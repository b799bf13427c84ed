//! Where a list of rows goes on: the key of the last row that was handed out.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::ValueRef;

/// The key of a row, to go on after it. As text it can be handed to another process (a page token, say).
///
/// ```
/// # use reader::{Ldb, ResumeKey, testing::TestLdb};
/// # use ledger::{ColumnType, Value};
/// # let test = TestLdb::new()?;
/// # test.table("auth", "keys", &[("id", ColumnType::Integer)], &["id"])?;
/// # for id in 0..5 { test.insert("auth", "keys", &[Value::Integer(id)])?; }
/// # let auth = Ldb::open(test.dir())?.family("auth")?;
/// let mut page = auth.scan("keys").limit(3);
/// assert_eq!(page.by_ref().count(), 3);
/// let token = page.resume_key().unwrap().to_string();
///
/// let rest = auth.scan("keys").after(token.parse()?);
/// assert_eq!(rest.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ResumeKey(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Integer(i64),
    /// Not always UTF-8.
    Text(Vec<u8>),
    Bytes(Vec<u8>),
}

/// Text that is no resume key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a resume key: pass on the text of one as it came")]
pub struct ResumeKeyError;

impl ResumeKey {
    /// None when a value cannot be in a key.
    pub(crate) fn of<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> Option<Self> {
        let part = |value: ValueRef<'a>| match value {
            ValueRef::Integer(integer) => Some(Part::Integer(integer)),
            ValueRef::Text(text) => Some(Part::Text(text.to_vec())),
            ValueRef::Blob(bytes) => Some(Part::Bytes(bytes.to_vec())),
            ValueRef::Null | ValueRef::Real(_) => None,
        };
        values.map(part).collect::<Option<_>>().map(Self)
    }

    /// What stands after the first values of a key of this length. None when it is of another length, or nothing does.
    pub(crate) fn rest(
        &self,
        key: usize,
        count: usize,
    ) -> Option<impl Iterator<Item = ValueRef<'_>>> {
        let rest = self.0.get(count..).filter(|rest| self.0.len() == key && !rest.is_empty())?;
        Some(rest.iter().map(|part| match part {
            Part::Integer(integer) => ValueRef::Integer(*integer),
            Part::Text(text) => ValueRef::Text(text),
            Part::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl fmt::Display for ResumeKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            let (kind, bytes) = match part {
                Part::Integer(integer) => {
                    write!(out, "{dot}i{integer}")?;
                    continue;
                }
                Part::Text(text) => ('t', text),
                Part::Bytes(bytes) => ('b', bytes),
            };
            write!(out, "{dot}{kind}")?;
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for ResumeKey {
    type Err = ResumeKeyError;

    fn from_str(text: &str) -> Result<Self, ResumeKeyError> {
        let part = |text: &str| match text.split_at_checked(1)? {
            ("i", digits) => digits.parse().ok().map(Part::Integer),
            ("t", digits) => bytes(digits).map(Part::Text),
            ("b", digits) => bytes(digits).map(Part::Bytes),
            _ => None,
        };
        let parts: Option<_> = text.split('.').map(part).collect();
        parts.map(Self).ok_or(ResumeKeyError)
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| {
        let sound = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(pair).ok()?;
        sound.then(|| u8::from_str_radix(text, 16).ok()).flatten()
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}
