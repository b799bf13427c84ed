//! The name that a table has in ctldb, in the ledger and in the LDB.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FamilyName, NameError, NameKind, NameRule, TableName};

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
        let characters = family.as_str().len() + Self::SEPARATOR.len() + table.as_str().len();
        let joined = Self { family, table };
        if characters > Self::MAX_CHARACTERS {
            let rule = NameRule::TooLong(Self::MAX_CHARACTERS);
            return Err(NameError::new(NameKind::LdbTable, &joined.to_string(), rule));
        }
        Ok(joined)
    }

    /// Splits `family___table`. A table's name begins with a letter, so the last three underscores of the run are
    /// the separator: `fam____tbl` is the table `tbl` of the family `fam_`.
    ///
    /// # Errors
    /// There is no separator, or one of the names is illegal.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (family, table) = text
            .rsplit_once(Self::SEPARATOR)
            .ok_or_else(|| NameError::new(NameKind::LdbTable, text, NameRule::Characters))?;
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

impl std::str::FromStr for LdbTable {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl From<LdbTable> for String {
    fn from(table: LdbTable) -> String {
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: &Expect) {
        let answer = match LdbTable::parse(text) {
            Ok(table) => {
                assert_eq!(table.to_string(), text);
                assert_eq!(
                    LdbTable::new(table.family().clone(), table.table().clone()),
                    Ok(table.clone())
                );
                format!("{} + {}", table.family(), table.table())
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&answer);
    }

    #[test]
    fn a_name_splits_at_the_last_three_underscores() {
        check("fam___tbl", &expect![["fam + tbl"]]);
        check("a_b___c_d", &expect![["a_b + c_d"]]);
        check("fam____tbl", &expect![["fam_ + tbl"]]);
        check("fam___tbl_", &expect![["fam + tbl_"]]);
        check(
            "fam_____tbl",
            &expect![[
                r#"family name "fam__" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter"#
            ]],
        );
        check(
            "fam___tbl___more",
            &expect![[
                r#"family name "fam___tbl" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter"#
            ]],
        );
        check(
            "fam__tbl",
            &expect![[
                r#"LDB table name "fam__tbl" is not FAMILY___TABLE: join the two names with three underscores"#
            ]],
        );
        check(
            "fam",
            &expect![[
                r#"LDB table name "fam" is not FAMILY___TABLE: join the two names with three underscores"#
            ]],
        );
        check(
            "",
            &expect![[
                r#"LDB table name "" is not FAMILY___TABLE: join the two names with three underscores"#
            ]],
        );
        check("___tbl", &expect![[r#"family name "" is too short: use at least 3 characters"#]]);
        check("fam___", &expect![[r#"table name "" is too short: use at least 3 characters"#]]);
        check(
            "Fam___tbl",
            &expect![[
                r#"family name "Fam" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter"#
            ]],
        );
        check(
            "fam___1bl",
            &expect![[
                r#"table name "1bl" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter"#
            ]],
        );
        check(
            "sqlite___tbl",
            &expect![[
                r#"family name "sqlite" is reserved by SQLite, which keeps sqlite and sqlite_... for itself: choose another"#
            ]],
        );
    }

    #[test]
    fn family_and_table_have_64_characters_together() {
        let named = |family: usize, table: usize| {
            LdbTable::parse(&format!("{}___{}", "f".repeat(family), "t".repeat(table)))
        };
        assert_eq!(named(11, 50).unwrap().to_string().len(), 64);
        assert_eq!(named(30, 31).unwrap().to_string().len(), 64);
        let refusal = named(12, 50).unwrap_err();
        assert_eq!(refusal.rule, NameRule::TooLong(64));
        expect![[r#"LDB table name "ffffffffffff___tttttttttttttttttttttttttttttttttttttttttttttttttt" is too long: family, three underscores and table may have 64 characters together, shorten one"#]].assert_eq(&refusal.to_string());
    }

    #[test]
    fn serde_goes_through_the_rules() {
        let table: LdbTable = serde_json::from_str("\"fam___tbl\"").unwrap();
        assert_eq!(serde_json::to_string(&table).unwrap(), "\"fam___tbl\"");
        assert!(serde_json::from_str::<LdbTable>("\"tbl\"").is_err());
    }
}
