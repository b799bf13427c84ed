//! From the JSON of the table routes to columns and keys. Pure.

use daemon::log::Chain;
use ledger::{Column, ColumnName, ColumnType, FamilyName, LdbTable, NameError, SchemaError};
use ledger::{TableName, TableSchema, TooWide};
use serde_json::value::RawValue;

use crate::error::{Code, Error};
use crate::json::Object;

/// A table as the original's API writes it; names are not checked yet.
#[derive(Debug)]
pub(super) struct Wanted {
    fields: Vec<Vec<String>>,
    key_fields: Vec<String>,
}

/// A line of `POST /tables`.
#[derive(Debug)]
pub(super) struct Named {
    family: String,
    name: String,
    table: Wanted,
}

/// A request that makes no table. Texts of the original are kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    #[error("JSON Error")]
    Json { source: serde_json::Error },
    #[error("Field #{index} is malformed: expected 2 elements, got {got}")]
    Malformed { index: usize, got: usize },
    #[error("Field #{index}: Type '{name}' unknown")]
    UnknownType { index: usize, name: String },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    TooWide(#[from] TooWide),
}

impl Wanted {
    /// Reads `{"fields":[["name","type"],…],"keyFields":["name",…]}`; either may be absent.
    pub(super) fn parse(body: &[u8]) -> Result<Self, TableError> {
        Self::read(&Object::parse(body)?)
    }

    fn read(object: &Object<'_>) -> Result<Self, TableError> {
        Ok(Self { fields: object.read("fields")?, key_fields: object.read("keyFields")? })
    }

    /// Its columns.
    pub(super) fn columns(&self) -> Result<Vec<Column>, TableError> {
        self.fields.iter().enumerate().map(|(index, field)| column(index, field)).collect()
    }

    /// The table that it makes.
    pub(super) fn schema(&self, table: LdbTable) -> Result<TableSchema, TableError> {
        let columns = self.columns()?;
        let key = self.key_fields.iter().map(|name| ColumnName::parse_folded(name));
        let schema = TableSchema::new(table, columns, key.collect::<Result<_, _>>()?)?;
        schema.check_width()?;
        Ok(schema)
    }
}

impl Named {
    /// Reads the list of `POST /tables`.
    pub(super) fn parse_all(body: &[u8]) -> Result<Vec<Self>, TableError> {
        let lines: Vec<&RawValue> = serde_json::from_slice(body)?;
        lines.into_iter().map(Self::parse).collect()
    }

    /// The table that it makes.
    pub(super) fn schema(&self) -> Result<TableSchema, Error> {
        let Self { family, name, table } = self;
        let schema = ldb_table(family, name).map_err(TableError::from);
        schema.and_then(|of| table.schema(of)).map_err(|error| {
            let doing = if error.unzips() { "unzipping fields param" } else { "creating table" };
            error.answer().context(&self.while_doing(doing))
        })
    }

    /// Words before what went wrong with it.
    pub(super) fn while_doing(&self, doing: &str) -> String {
        format!("{doing} for family {:?} table {:?}: ", self.family, self.name)
    }

    fn parse(line: &RawValue) -> Result<Self, TableError> {
        let object = Object::parse(line.get().as_bytes())?;
        let (family, name) = (object.read("family")?, object.read("name")?);
        Ok(Self { family, name, table: Wanted::read(&object)? })
    }
}

/// Puts the two names of a path together.
pub(crate) fn ldb_table(family: &str, table: &str) -> Result<LdbTable, NameError> {
    LdbTable::new(FamilyName::parse_folded(family)?, TableName::parse_folded(table)?)
}

fn column(index: usize, field: &[String]) -> Result<Column, TableError> {
    let [name, type_name] = field else {
        return Err(TableError::Malformed { index, got: field.len() });
    };
    let column_type = ColumnType::from_api_name(type_name)
        .ok_or_else(|| TableError::UnknownType { index, name: type_name.clone() })?;
    Ok(Column { name: ColumnName::parse_folded(name)?, column_type })
}

impl From<serde_json::Error> for TableError {
    fn from(source: serde_json::Error) -> Self {
        Self::Json { source }
    }
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        let unzips = error.unzips();
        let answer = error.answer();
        if unzips { answer.context("Error unzipping fields: ") } else { answer }
    }
}

impl TableError {
    /// Is a pair of name and type none? The original says so in front, and not the same for one table and for several.
    fn unzips(&self) -> bool {
        matches!(self, TableError::Malformed { .. } | TableError::UnknownType { .. })
    }

    fn answer(self) -> Error {
        let message = Chain(&self).to_string();
        match self {
            TableError::Json { .. } => Error::new(Code::JsonInvalid, message),
            TableError::Malformed { index, .. } | TableError::UnknownType { index, .. } => {
                Error::new(Code::SchemaInvalid, message).field(format!("fields[{index}]"))
            }
            TableError::Name(name) => name.into(),
            TableError::Schema(schema) => schema.into(),
            TableError::TooWide(wide) => wide.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "an expectation is written in place")]
    fn check(body: &str, want: Expect) {
        let table = ldb_table("Billing", "Rates").unwrap();
        let schema = Wanted::parse(body.as_bytes()).and_then(|wanted| wanted.schema(table));
        let text = match schema.map_err(Error::from) {
            Ok(schema) => ledger::Statement::CreateTable(schema).to_string(),
            Err(error) => format!("{}: {error} {:?}", error.code().as_str(), error.blamed()),
        };
        want.assert_eq(&text);
    }

    #[test]
    fn tables_and_what_is_wrong_with_them() {
        check(
            r#"{"Fields":[["Region","string"],["tier","integer"],["icon","binary"]],"KEYFIELDS":["TIER","region"]}"#,
            expect![[
                r#"CREATE TABLE billing___rates ("region" VARCHAR(191), "tier" INTEGER, "icon" BLOB, PRIMARY KEY("tier","region"));"#
            ]],
        );
        check(
            "{",
            expect![[
                r#"json_invalid: JSON Error: EOF while parsing an object at line 1 column 1 None"#
            ]],
        );
        check(
            "",
            expect![[
                r#"json_invalid: JSON Error: EOF while parsing a value at line 1 column 0 None"#
            ]],
        );
        check(
            "{}",
            expect![[
                r#"schema_invalid: table must have at least one key field Some("keyFields")"#
            ]],
        );
        check(
            r#"{"fields":[["a"]]}"#,
            expect![[
                r#"schema_invalid: Error unzipping fields: Field #0 is malformed: expected 2 elements, got 1 Some("fields[0]")"#
            ]],
        );
        check(
            r#"{"fields":[["a","string"],["b","jsonb"]]}"#,
            expect![[
                r#"schema_invalid: Error unzipping fields: Field #1: Type 'jsonb' unknown Some("fields[1]")"#
            ]],
        );
        check(
            r#"{"fields":[["1a","string"]]}"#,
            expect![[
                r#"name_invalid: Field names must be only letters, numbers, and underscore Some("fields.1a")"#
            ]],
        );
        check(
            r#"{"fields":[["a","string"],["A","text"]],"keyFields":["a"]}"#,
            expect![[
                r#"schema_invalid: table billing___rates: column "a" is there twice, remove one Some("fields.a")"#
            ]],
        );
        check(
            r#"{"fields":[["a","string"]],"keyFields":["b"]}"#,
            expect![[
                r#"schema_invalid: Primary key field 'b' not specified as a field Some("keyFields.b")"#
            ]],
        );
        check(
            r#"{"fields":[["a","decimal"]],"keyFields":["a"]}"#,
            expect![[
                r#"schema_invalid: Fields of type 'decimal' cannot be a key field Some("keyFields.a")"#
            ]],
        );
        let wide: Vec<_> = (0..5).map(|n| format!(r#"["c{n}","string"]"#)).collect();
        check(
            &format!(r#"{{"fields":[{}],"keyFields":["c0","c1","c2","c3","c4"]}}"#, wide.join(",")),
            expect![[
                r#"table_too_wide: the key of table billing___rates takes up to 3820 bytes, at most 3072 are possible: use fewer String columns in the key (764 bytes each) Some("fields")"#
            ]],
        );
    }

    #[test]
    fn names_fold_and_are_short_enough_together() {
        assert_eq!(ldb_table("BILLING", "Rates").unwrap().to_string(), "billing___rates");
        let long = ldb_table(&"f".repeat(30), &"t".repeat(32)).unwrap_err();
        assert!(long.to_string().contains("64 characters together"), "{long}");
    }

    #[test]
    fn lists_of_tables() {
        let body = br#"[{"family":"billing","name":"rates","fields":[["a","string"]],"keyFields":["a"]},{"name":"x"}]"#;
        let lines = Named::parse_all(body).unwrap();
        assert_eq!((lines[0].family.as_str(), lines[0].name.as_str()), ("billing", "rates"));
        assert_eq!(lines[1].family, "");
        assert!(Named::parse_all(b"null").is_err());
        assert!(Named::parse_all(b"{}").is_err());
        assert!(Named::parse_all(b"[7]").is_err());
    }
}
