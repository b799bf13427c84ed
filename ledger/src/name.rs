//! Names of families, tables, columns and writers. A name that exists was checked; nobody checks it again.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// What a refused name was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A family: 3 to 30 characters.
    Family,
    /// A table: 3 to 50 characters.
    Table,
    /// A column: 1 to 64 characters, double underscores allowed.
    Column,
    /// A writer: 3 to 50 characters of any kind, case kept.
    Writer,
    /// `family___table`: at most 64 characters, the longest identifier MySQL takes.
    LdbTable,
}

/// The rule that a refused name breaks, in the order they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// Only lower-case letters, digits and underscores, first a letter.
    Characters,
    /// No more than this many characters.
    TooLong(usize),
    /// No fewer than this many characters.
    TooShort(usize),
    /// None that a database keeps for itself.
    Reserved,
}

/// A name was refused: what it was for, the text, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NameError {
    /// What the text was to name.
    pub kind: NameKind,
    /// The text as it came, or its first 100 characters.
    pub text: String,
    /// The first rule that it breaks.
    pub rule: NameRule,
}

impl NameError {
    /// How much of a text is repeated.
    const SHOWN_CHARACTERS: usize = 100;

    pub(crate) fn new(kind: NameKind, text: &str, rule: NameRule) -> Self {
        Self { kind, text: text.chars().take(Self::SHOWN_CHARACTERS).collect(), rule }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        write!(out, "{kind} name {:?} ", self.text)?;
        match (self.rule, kind) {
            (NameRule::Characters, NameKind::LdbTable) => {
                out.write_str("is not FAMILY___TABLE: join the two names with three underscores")
            }
            (NameRule::Characters, NameKind::Column | NameKind::Writer) => out.write_str(
                "has forbidden characters: use lower-case letters, digits and underscores, and begin with a letter",
            ),
            (NameRule::Characters, NameKind::Family | NameKind::Table) => out.write_str(
                "has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter",
            ),
            (NameRule::TooLong(max), NameKind::LdbTable) => write!(
                out,
                "is too long: family, three underscores and table may have {max} characters together, shorten one"
            ),
            (NameRule::TooLong(max), _) => write!(out, "is too long: use at most {max} characters"),
            (NameRule::TooShort(1), _) => out.write_str("is empty: use at least one character"),
            (NameRule::TooShort(min), _) => write!(out, "is too short: use at least {min} characters"),
            (NameRule::Reserved, NameKind::Column) => {
                out.write_str("is reserved by MySQL, which keeps it for a hidden column: choose another")
            }
            (NameRule::Reserved, _) => {
                out.write_str("is reserved by SQLite, which keeps sqlite and sqlite_... for itself: choose another")
            }
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            NameKind::Family => "family",
            NameKind::Table => "table",
            NameKind::Column => "column",
            NameKind::Writer => "writer",
            NameKind::LdbTable => "LDB table",
        })
    }
}

/// What a kind of name may be.
struct Rules {
    kind: NameKind,
    min: usize,
    max: usize,
    double_underscore: bool,
    reserved: fn(&str) -> bool,
}

impl Rules {
    fn check(&self, text: &str) -> Result<(), NameError> {
        let refuse = |rule| Err(NameError::new(self.kind, text, rule));
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        // An empty name is called too short, which says more than "forbidden characters".
        let begins = text.bytes().next().is_none_or(|first| first.is_ascii_lowercase());
        let doubled = !self.double_underscore && text.contains("__");
        if !begins || !text.bytes().all(legal) || doubled {
            return refuse(NameRule::Characters);
        }
        check_length(self.kind, text, self.min, self.max)?;
        if (self.reserved)(text) { refuse(NameRule::Reserved) } else { Ok(()) }
    }
}

fn check_length(kind: NameKind, text: &str, min: usize, max: usize) -> Result<(), NameError> {
    // The original counts bytes; a writer's name may have any character, so characters are kinder there.
    match text.chars().count() {
        n if n > max => Err(NameError::new(kind, text, NameRule::TooLong(max))),
        n if n < min => Err(NameError::new(kind, text, NameRule::TooShort(min))),
        _ => Ok(()),
    }
}

/// SQLite refuses tables whose names begin with `sqlite_`, and `sqlite___x` does too.
fn is_sqlites_own(family: &str) -> bool {
    family.strip_prefix("sqlite").is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// InnoDB refuses columns of these names (error 1166).
fn is_innodbs_own(column: &str) -> bool {
    matches!(column, "db_row_id" | "db_trx_id" | "db_roll_ptr" | "fts_doc_id")
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rules:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(SmolStr);

        impl $name {
            const RULES: Rules = $rules;

            /// Takes a name as it must be written.
            ///
            /// # Errors
            /// The first rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                Self::RULES.check(text)?;
                Ok(Self(text.into()))
            }

            /// Takes a name in any case and folds it to lower case first, as the original does with names that
            /// come over HTTP.
            ///
            /// # Errors
            /// The first rule that the folded text breaks.
            pub fn parse_folded(text: &str) -> Result<Self, NameError> {
                Self::parse(&text.to_ascii_lowercase())
                    .map_err(|NameError { kind, rule, .. }| NameError::new(kind, text, rule))
            }
        }

        name!(@plumbing $name);
    };
    (@plumbing $name:ident) => {
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A family of tables: `^[a-z][a-z0-9_]*$` without `__`, 3 to 30 characters, not `sqlite` nor `sqlite_...`.
    FamilyName,
    Rules {
        kind: NameKind::Family,
        min: 3,
        max: 30,
        double_underscore: false,
        reserved: is_sqlites_own,
    }
);
name!(
    /// A table within a family: `^[a-z][a-z0-9_]*$` without `__`, 3 to 50 characters.
    TableName,
    Rules {
        kind: NameKind::Table,
        min: 3,
        max: 50,
        double_underscore: false,
        reserved: |_| false,
    }
);
name!(
    /// A column: `^[a-z][a-z0-9_]*$`, 1 to 64 characters, not one of InnoDB's own (`db_row_id`, `db_trx_id`,
    /// `db_roll_ptr`, `fts_doc_id`); `__` is allowed.
    ColumnName,
    Rules {
        kind: NameKind::Column,
        min: 1,
        max: 64,
        double_underscore: true,
        reserved: is_innodbs_own,
    }
);

/// A client of the executive: 3 to 50 characters of any kind; case is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WriterName(SmolStr);

impl WriterName {
    /// Takes a name as it is.
    ///
    /// # Errors
    /// The name is too long or too short.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_length(NameKind::Writer, text, 3, 50)?;
        Ok(Self(text.into()))
    }
}

name!(@plumbing WriterName);

#[cfg(test)]
mod tests;
