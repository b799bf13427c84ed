//! Names of families, tables, columns and writers. A name that exists was checked; nobody checks it again.

use std::fmt;

use serde::{Deserialize, Serialize};

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
}

/// A name was refused: what it was for, the text, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NameError {
    /// What the text was to name.
    pub kind: NameKind,
    /// The text as it came.
    pub text: String,
    /// The first rule that it breaks.
    pub rule: NameRule,
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
            (NameRule::TooShort(min), _) => write!(out, "is too short: use at least {min} characters"),
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

/// How many characters a name may have.
struct Length {
    min: usize,
    max: usize,
}

fn check(
    kind: NameKind,
    text: &str,
    length: &Length,
    double_underscore: bool,
) -> Result<(), NameError> {
    let refuse = |rule| Err(NameError { kind, text: text.to_owned(), rule });
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = text.is_empty() || text.as_bytes()[0].is_ascii_lowercase();
    if !begins || !text.bytes().all(legal) || (!double_underscore && text.contains("__")) {
        return refuse(NameRule::Characters);
    }
    check_length(kind, text, length)
}

fn check_length(kind: NameKind, text: &str, length: &Length) -> Result<(), NameError> {
    let refuse = |rule| Err(NameError { kind, text: text.to_owned(), rule });
    // The original counts bytes; a writer's name may have any character, so characters are kinder there.
    match text.chars().count() {
        n if n > length.max => refuse(NameRule::TooLong(length.max)),
        n if n < length.min => refuse(NameRule::TooShort(length.min)),
        _ => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:expr, $min:literal..=$max:literal, double_underscore: $double:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes a name as it must be written.
            ///
            /// # Errors
            /// The first rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check($kind, text, &Length { min: $min, max: $max }, $double)?;
                Ok(Self(text.into()))
            }

            /// Takes a name in any case and folds it to lower case first, as the original does with names that
            /// come over HTTP.
            ///
            /// # Errors
            /// The first rule that the folded text breaks.
            pub fn parse_folded(text: &str) -> Result<Self, NameError> {
                Self::parse(&text.to_ascii_lowercase())
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
    /// A family of tables: `^[a-z][a-z0-9_]*$` without `__`, 3 to 30 characters.
    FamilyName, NameKind::Family, 3..=30, double_underscore: false
);
name!(
    /// A table within a family: `^[a-z][a-z0-9_]*$` without `__`, 3 to 50 characters.
    TableName, NameKind::Table, 3..=50, double_underscore: false
);
name!(
    /// A column: `^[a-z][a-z0-9_]*$`, 1 to 64 characters; `__` is allowed.
    ColumnName, NameKind::Column, 1..=64, double_underscore: true
);

/// A client of the executive: 3 to 50 characters of any kind; case is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WriterName(Box<str>);

impl WriterName {
    /// Takes a name as it is.
    ///
    /// # Errors
    /// The name is too long or too short.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_length(NameKind::Writer, text, &Length { min: 3, max: 50 })?;
        Ok(Self(text.into()))
    }
}

name!(@plumbing WriterName);

/// A table's name in ctldb, in the ledger and in the LDB: `family___table`, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LdbTable {
    family: FamilyName,
    table: TableName,
}

impl LdbTable {
    /// Between the family's name and the table's.
    pub const SEPARATOR: &'static str = "___";
    /// MySQL's longest identifier, in characters.
    pub const MAX_CHARACTERS: usize = 64;

    /// Joins a family's and a table's name.
    ///
    /// # Errors
    /// The two names are too long together.
    pub fn new(family: FamilyName, table: TableName) -> Result<Self, NameError> {
        let joined = Self { family, table };
        let text = joined.to_string();
        if text.len() > Self::MAX_CHARACTERS {
            let rule = NameRule::TooLong(Self::MAX_CHARACTERS);
            return Err(NameError { kind: NameKind::LdbTable, text, rule });
        }
        Ok(joined)
    }

    /// Splits `family___table`. A table's name begins with a letter, so the last three underscores of the run are
    /// the separator: `fam____tbl` is the table `tbl` of the family `fam_`.
    ///
    /// # Errors
    /// There is no separator, or one of the names is illegal.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let no_separator = || NameError {
            kind: NameKind::LdbTable,
            text: text.to_owned(),
            rule: NameRule::Characters,
        };
        let (family, table) = text.rsplit_once(Self::SEPARATOR).ok_or_else(no_separator)?;
        Self::new(FamilyName::parse(family)?, TableName::parse(table)?)
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> &FamilyName {
        &self.family
    }

    /// The table within the family.
    #[must_use]
    pub fn table(&self) -> &TableName {
        &self.table
    }
}

impl fmt::Display for LdbTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}{}", self.family, Self::SEPARATOR, self.table)
    }
}

impl TryFrom<String> for LdbTable {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<LdbTable> for String {
    fn from(table: LdbTable) -> String {
        table.to_string()
    }
}
