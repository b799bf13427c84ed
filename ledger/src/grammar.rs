//! The strict grammar of ledger text: exactly what the original and we write, nothing else. What is outside it is
//! refused, never handed to a database.
//!
//! ```text
//! statement = "--- BEGIN" | "--- COMMIT"
//!           | "CREATE TABLE " table " (" { column " " type ", " } "PRIMARY KEY(" column { "," column } "));"
//!           | "ALTER TABLE " table " ADD COLUMN " column " " type
//!           | "REPLACE INTO " table " (" column { "," column } ") VALUES(" literal { "," literal } ")"
//!           | "DELETE FROM " table [ " WHERE " column " = " literal { " AND " column " = " literal } ]
//!           | "DROP TABLE IF EXISTS " table
//! column    = '"' name '"'
//! literal   = "NULL" | "true" | "false" | [ "-" ] digits [ "." digits ] | "'" { char | "''" } "'" | "x'" { hex hex } "'"
//! ```
//!
//! A number without a point that fits 64 bits is an integer, any other is a double, as in SQLite. A `char` is any but
//! `'` and NUL, a `hex` is a digit or a lower-case letter.

use crate::{Column, ColumnName, ColumnType, LdbTable, Literal, Statement, TableSchema};

/// Text that is not a statement of the ledger: where it leaves the grammar, and what would have been legal there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger statement: at byte {offset} expected {expected}, found {found:?}")]
pub struct GrammarError {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What would have been legal there.
    pub expected: String,
    /// What stands there, at most 24 characters of it.
    pub found: String,
}

impl Statement {
    /// Reads the text of a ledger entry.
    ///
    /// # Errors
    /// The text is outside the grammar.
    pub fn parse(text: &str) -> Result<Self, GrammarError> {
        let mut cursor = Cursor { text, offset: 0 };
        let statement = cursor.statement()?;
        if cursor.rest().is_empty() {
            Ok(statement)
        } else {
            cursor.fail("the end of the statement")
        }
    }
}

/// SQLite takes no more columns, and the bound keeps the search for double names short.
const MAX_COLUMNS: usize = 2000;

struct Cursor<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn statement(&mut self) -> Result<Statement, GrammarError> {
        if self.takes(Statement::BEGIN) {
            Ok(Statement::Begin)
        } else if self.takes(Statement::COMMIT) {
            Ok(Statement::Commit)
        } else if self.takes("REPLACE INTO ") {
            self.upsert()
        } else if self.takes("DELETE FROM ") {
            self.delete()
        } else if self.takes("CREATE TABLE ") {
            self.create_table()
        } else if self.takes("ALTER TABLE ") {
            let table = self.table()?;
            self.expect(" ADD COLUMN ")?;
            Ok(Statement::AddColumn { table, column: self.column()? })
        } else if self.takes("DROP TABLE IF EXISTS ") {
            Ok(Statement::DropTable(self.table()?))
        } else {
            self.fail("CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT")
        }
    }

    fn upsert(&mut self) -> Result<Statement, GrammarError> {
        let table = self.table()?;
        self.expect(" (")?;
        let mut columns: Vec<ColumnName> = Vec::new();
        loop {
            let before = self.offset;
            let name = self.name()?;
            if columns.contains(&name) {
                return self.fail_at(before, "a column that is not named before");
            }
            columns.push(name);
            self.bound(before, columns.len())?;
            if !self.takes(",") {
                break;
            }
        }
        self.expect(") VALUES(")?;
        let mut values = Vec::with_capacity(columns.len());
        loop {
            values.push(self.literal()?);
            if values.len() == columns.len() {
                break;
            }
            self.expect(",")?;
        }
        self.expect(")")?;
        Ok(Statement::Upsert { table, columns, values })
    }

    fn delete(&mut self) -> Result<Statement, GrammarError> {
        let table = self.table()?;
        if !self.takes(" WHERE ") {
            return Ok(Statement::ClearTable(table));
        }
        let mut key: Vec<(ColumnName, Literal)> = Vec::new();
        loop {
            let before = self.offset;
            let name = self.name()?;
            if key.iter().any(|(other, _)| *other == name) {
                return self.fail_at(before, "a column that is not named before");
            }
            self.expect(" = ")?;
            key.push((name, self.literal()?));
            self.bound(before, key.len())?;
            if !self.takes(" AND ") {
                return Ok(Statement::Delete { table, key });
            }
        }
    }

    fn create_table(&mut self) -> Result<Statement, GrammarError> {
        let table = self.table()?;
        self.expect(" (")?;
        let mut columns = Vec::new();
        while !self.takes("PRIMARY KEY(") {
            let before = self.offset;
            columns.push(self.column()?);
            self.bound(before, columns.len())?;
            self.expect(", ")?;
        }
        let key_offset = self.offset;
        let mut key = vec![self.name()?];
        while self.takes(",") {
            let before = self.offset;
            key.push(self.name()?);
            self.bound(before, key.len())?;
        }
        self.expect("));")?;
        match TableSchema::new(table, columns, key) {
            Ok(schema) => Ok(Statement::CreateTable(schema)),
            Err(error) => self.fail_at(key_offset, &format!("a legal table ({error})")),
        }
    }

    fn bound(&self, offset: usize, columns: usize) -> Result<(), GrammarError> {
        if columns <= MAX_COLUMNS { Ok(()) } else { self.fail_at(offset, "at most 2000 columns") }
    }

    fn table(&mut self) -> Result<LdbTable, GrammarError> {
        let before = self.offset;
        let word = self.word();
        LdbTable::parse(word)
            .or_else(|error| self.fail_at(before, &format!("a table name ({error})")))
    }

    fn name(&mut self) -> Result<ColumnName, GrammarError> {
        self.expect("\"")?;
        let before = self.offset;
        let word = self.word();
        let name = ColumnName::parse(word);
        let name =
            name.or_else(|error| self.fail_at(before, &format!("a column name ({error})")))?;
        self.expect("\"")?;
        Ok(name)
    }

    fn column(&mut self) -> Result<Column, GrammarError> {
        let name = self.name()?;
        self.expect(" ")?;
        // BLOB(255) before BLOB, which it begins with.
        let mut types = ColumnType::ALL;
        types.sort_by_key(|column_type| std::cmp::Reverse(column_type.sqlite().len()));
        match types.into_iter().find(|column_type| self.takes(column_type.sqlite())) {
            Some(column_type) => Ok(Column { name, column_type }),
            None => self.fail("VARCHAR(191), INTEGER, REAL, TEXT, BLOB or BLOB(255)"),
        }
    }

    fn literal(&mut self) -> Result<Literal, GrammarError> {
        if self.takes("NULL") {
            Ok(Literal::Null)
        } else if self.takes("true") {
            Ok(Literal::Bool(true))
        } else if self.takes("false") {
            Ok(Literal::Bool(false))
        } else if self.takes("x'") {
            self.hex()
        } else if self.takes("'") {
            self.string()
        } else {
            self.number()
        }
    }

    fn string(&mut self) -> Result<Literal, GrammarError> {
        let mut text = String::new();
        loop {
            let Some(end) = self.rest().find('\'') else {
                return self.fail_at(self.text.len(), "the closing quote of a string");
            };
            let part = &self.rest()[..end];
            if let Some(nul) = part.find('\0') {
                let expected = "a string without NUL, which is written in hexadecimal";
                return self.fail_at(self.offset + nul, expected);
            }
            text.push_str(part);
            self.offset += end;
            if self.takes("''") {
                text.push('\'');
            } else {
                self.expect("'")?;
                return Ok(Literal::Text(text));
            }
        }
    }

    fn hex(&mut self) -> Result<Literal, GrammarError> {
        let digits = self.span(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if digits.len() % 2 == 1 {
            return self.fail("one more hexadecimal digit");
        }
        let digit = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 };
        let bytes =
            digits.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1]));
        let bytes = bytes.collect();
        self.expect("'")?;
        Ok(Literal::Hex(bytes))
    }

    fn number(&mut self) -> Result<Literal, GrammarError> {
        let start = self.offset;
        self.takes("-");
        if self.span(|byte| byte.is_ascii_digit()).is_empty() {
            return self.fail_at(start, "a literal");
        }
        if self.takes(".") && self.span(|byte| byte.is_ascii_digit()).is_empty() {
            return self.fail("a digit");
        }
        let text = &self.text[start..self.offset];
        if let Ok(integer) = text.parse() {
            return Ok(Literal::Integer(integer));
        }
        match text.parse::<f64>() {
            // Adding zero turns -0.0 into 0.0, as databases do when they store it.
            Ok(number) if number.is_finite() => Ok(Literal::Real(number + 0.0)),
            Ok(_) | Err(_) => self.fail_at(start, "a finite number"),
        }
    }

    fn word(&mut self) -> &'a str {
        self.span(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    }

    fn span(&mut self, legal: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !legal(byte)).unwrap_or(rest.len());
        self.offset += end;
        &rest[..end]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn takes(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.offset += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), GrammarError> {
        if self.takes(token) { Ok(()) } else { self.fail(&format!("{token:?}")) }
    }

    fn fail<T>(&self, expected: &str) -> Result<T, GrammarError> {
        self.fail_at(self.offset, expected)
    }

    fn fail_at<T>(&self, offset: usize, expected: &str) -> Result<T, GrammarError> {
        let found = self.text[offset..].chars().take(24).collect();
        Err(GrammarError { offset, expected: expected.to_owned(), found })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
