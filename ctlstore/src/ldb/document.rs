//! The documents that an LDB is built from: tables as manifests, and rows.

use std::collections::{BTreeMap, HashMap};

use crds::{CtlFamily, CtlTable};
use ledger::{ColumnName, FamilyName, LdbTable, NameError, TableName};
use operator::{DeclarationError, table_schema};
use reader::testing::{LdbBuilder, TestError};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("it is no YAML")]
    Yaml(#[source] serde_yaml::Error),
    #[error("it is no JSON")]
    Json(#[source] serde_json::Error),
    #[error("it is no {what}")]
    Shape { what: &'static str, source: serde_json::Error },
    #[error("kind {0:?} makes no table, leave it out")]
    Kind(String),
    #[error("table {0:?} has no family, write FAMILY/TABLE")]
    NoFamily(String),
    #[error("table {table} has no column {column:?}")]
    NoColumn { table: LdbTable, column: String },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    #[error("row {number} of table {table}")]
    Row { table: LdbTable, number: usize, source: TestError },
    #[error(transparent)]
    Table(TestError),
}

/// Rows of one table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    table: String,
    #[serde(default)]
    row: Option<Map<String, Value>>,
    #[serde(default)]
    rows: Vec<Map<String, Value>>,
}

/// What the documents so far came to.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) builder: LdbBuilder,
    pub(crate) tables: usize,
    pub(crate) rows: usize,
    columns: HashMap<LdbTable, Vec<ColumnName>>,
    /// Names in SQL that families have by their own word.
    families: HashMap<String, String>,
}

/// The documents of a file: JSON when it begins as JSON does, YAML otherwise. The first bad one is the last.
pub(crate) fn all(text: &str) -> Vec<Result<Value, DocumentError>> {
    if text.trim_start().starts_with('{') {
        let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        return documents.map(|document| document.map_err(DocumentError::Json)).collect();
    }
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let document = Value::deserialize(document).map_err(DocumentError::Yaml);
        let is_bad = document.is_err();
        documents.push(document);
        if is_bad {
            break;
        }
    }
    documents
}

impl Built {
    /// Adds what a document says. An empty one says nothing.
    pub(crate) fn add(&mut self, document: Value) -> Result<(), DocumentError> {
        if document.is_null() {
            return Ok(());
        }
        let shape = |what| move |source| DocumentError::Shape { what, source };
        match document.get("kind").and_then(Value::as_str) {
            Some("CtlTable") => {
                self.table(&serde_json::from_value(document).map_err(shape("CtlTable"))?)
            }
            Some("CtlFamily") => {
                let family: CtlFamily =
                    serde_json::from_value(document).map_err(shape("CtlFamily"))?;
                let name = family.metadata.name.clone().unwrap_or_default();
                self.families.insert(name, family.sql_name());
                Ok(())
            }
            Some(other) => Err(DocumentError::Kind(other.to_owned())),
            None => {
                let rows: Rows = serde_json::from_value(document).map_err(shape("list of rows"))?;
                self.rows(rows)
            }
        }
    }

    fn table(&mut self, object: &CtlTable) -> Result<(), DocumentError> {
        let family = &object.spec.family_ref.name;
        let family = self.families.get(family).cloned().unwrap_or_else(|| family.replace('-', "_"));
        let family = FamilyName::parse(&family)?;
        let table = LdbTable::new(family, TableName::parse(&object.sql_name())?)?;
        let schema = table_schema(table.clone(), object)?;
        let names = schema.columns().iter().map(|column| column.name.clone()).collect();
        self.builder.table(schema).map_err(DocumentError::Table)?;
        self.columns.insert(table, names);
        self.tables += 1;
        Ok(())
    }

    fn rows(&mut self, rows: Rows) -> Result<(), DocumentError> {
        let Rows { table, row, rows } = rows;
        let names = table.split_once('/');
        let (family, name) = names.ok_or_else(|| DocumentError::NoFamily(table.clone()))?;
        let table = LdbTable::new(FamilyName::parse(family)?, TableName::parse(name)?)?;
        for (index, row) in row.into_iter().chain(rows).enumerate() {
            let number = index + 1;
            let values = self.values(&table, row)?;
            let values: BTreeMap<_, _> =
                values.iter().map(|(name, value)| (name.clone(), &**value)).collect();
            let added = self.builder.json_row(&table, &values);
            let failed = |source| DocumentError::Row { table: table.clone(), number, source };
            added.map_err(failed)?;
            self.rows += 1;
        }
        Ok(())
    }

    /// A value for each column; the write API wants them all, a test leaves out what it does not look at.
    fn values(
        &self,
        table: &LdbTable,
        mut row: Map<String, Value>,
    ) -> Result<Vec<(ColumnName, Box<RawValue>)>, DocumentError> {
        let columns = self.columns.get(table).map_or(&[][..], Vec::as_slice);
        let values = columns.iter().map(|column| {
            let value = row.remove(column.as_str()).unwrap_or(Value::Null);
            Ok((column.clone(), to_raw_value(&value).map_err(DocumentError::Json)?))
        });
        let values = values.collect::<Result<_, DocumentError>>()?;
        match row.into_iter().next() {
            // Of a table that was not added nothing is known; the builder says so.
            Some((column, _)) if !columns.is_empty() => {
                Err(DocumentError::NoColumn { table: table.clone(), column })
            }
            _ => Ok(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const TABLE: &str = "kind: CtlTable\napiVersion: ctlstore.dev/v1alpha1\nmetadata: {name: some-plans}\nspec:\n  familyRef: {name: billing}\n  columns: [{name: id, type: String}, {name: seats, type: Integer}]\n  keyColumns: [id]\n---\n";

    fn check(text: &str, want: &Expect) {
        let mut built = Built::default();
        let added = all(text).into_iter().try_for_each(|document| built.add(document?));
        let said = match added {
            Ok(()) => format!("{} tables, {} rows", built.tables, built.rows),
            Err(error) => daemon::log::Chain(&error).to_string(),
        };
        want.assert_eq(&said);
    }

    #[test]
    fn tables_are_manifests_and_rows_are_lists_or_lines() {
        check("", &expect!["0 tables, 0 rows"]);
        check(TABLE, &expect!["1 tables, 0 rows"]);
        let rows = "table: billing/some_plans\nrows: [{id: a, seats: 9007199254740993}, {id: b}]\n---\ntable: billing/some_plans\nrow: {id: c}\n";
        check(&(TABLE.to_owned() + rows), &expect!["1 tables, 3 rows"]);
    }

    #[test]
    fn what_fits_nowhere_is_named() {
        let rows = |text: &str, want: &Expect| {
            check(&format!("{TABLE}table: billing/some_plans\nrow: {text}\n"), want);
        };
        rows("{id: a, seat: 1}", &expect![[r#"table billing___some_plans has no column "seat""#]]);
        rows(
            "{seats: 1}",
            &expect![[
                r#"row 1 of table billing___some_plans: column "id" (String): a key column cannot be null, send a value"#
            ]],
        );
        rows(
            "{id: a, seats: many}",
            &expect![[
                r#"row 1 of table billing___some_plans: column "seats" (Integer): a string that is not exactly an integer is not possible here, send a whole number"#
            ]],
        );
        check(
            "table: billing/other\nrow: {id: a}",
            &expect![
                "row 1 of table billing___other: no table billing___other: add the table before its rows"
            ],
        );
        check(
            "table: other\nrow: {id: a}",
            &expect![[r#"table "other" has no family, write FAMILY/TABLE"#]],
        );
        check(
            "{\"table\": \"a/b\", \"rowz\": []}",
            &expect![
                "it is no list of rows: unknown field `rowz`, expected one of `table`, `row`, `rows`"
            ],
        );
        check("kind: Secret", &expect![[r#"kind "Secret" makes no table, leave it out"#]]);
        check(
            "{\"table\"",
            &expect!["it is no JSON: EOF while parsing an object at line 1 column 8"],
        );
        check(
            &TABLE.repeat(2),
            &expect!["table billing___some_plans is there already, leave one of the two out"],
        );
    }
}
