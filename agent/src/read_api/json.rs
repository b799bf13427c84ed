//! Rows as JSON, written straight from where SQLite holds them. Bytes are base64, integers exact; a number that JSON does not
//! have is null.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::ColumnName;
use reader::{RowRef, ValueRef};

use crate::read_api::error::{Code, Error};

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) form: Form,
    /// Only these columns, in this order; all without it.
    pub(crate) columns: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the original's encoder: columns by name, whole numbers without a fraction.
    Original,
    /// Columns in the table's order, integers as numbers.
    Numbers,
    /// The same with integers as strings, for those who read numbers as doubles.
    Strings,
}

impl Style {
    pub(crate) const ORIGINAL: Self = Self { form: Form::Original, columns: None };
    /// No column at all, to count rows.
    pub(crate) const NOTHING: Self = Self { form: Form::Original, columns: Some(Vec::new()) };

    /// Adds a row.
    pub(crate) fn write(&self, out: &mut Vec<u8>, row: RowRef<'_>) -> Result<(), Error> {
        let columns = row.schema().columns();
        let mut comma = b'{';
        let mut write = |place: usize| {
            if let (Some(column), Ok(value)) = (columns.get(place), row.value(place)) {
                out.push(comma);
                comma = b',';
                name(out, &column.name);
                self.form.write(out, value);
            }
        };
        match (&self.columns, self.form) {
            (Some(names), _) => {
                for name in names {
                    let is_it = |column: &ledger::Column| column.name.as_str() == name;
                    let place = columns.iter().position(is_it);
                    write(place.ok_or_else(|| unknown(name, row))?);
                }
            }
            (None, Form::Original) => {
                let mut places: Vec<_> = (0..columns.len()).collect();
                places.sort_unstable_by_key(|place| columns.get(*place).map(|c| c.name.as_str()));
                places.into_iter().for_each(write);
            }
            (None, Form::Numbers | Form::Strings) => (0..columns.len()).for_each(write),
        }
        if comma == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }

    /// Refuses columns that a table has not, also when no row is there to be written.
    pub(crate) fn check(&self, schema: &ledger::TableSchema) -> Result<(), Error> {
        for name in self.columns.iter().flatten() {
            if !schema.columns().iter().any(|column| column.name.as_str() == name) {
                return Err(no_column(name, &schema.table().to_string()));
            }
        }
        Ok(())
    }
}

impl Form {
    fn write(self, out: &mut Vec<u8>, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => out.extend_from_slice(b"null"),
            ValueRef::Integer(integer) if self == Form::Strings => {
                put(write!(out, "\"{integer}\""));
            }
            ValueRef::Integer(integer) => put(write!(out, "{integer}")),
            ValueRef::Decimal(number) => self.decimal(out, number),
            ValueRef::Text(text) => put(serde_json::to_writer(out, text)),
            ValueRef::Bytes(bytes) => put(write!(out, "\"{}\"", STANDARD.encode(bytes))),
        }
    }

    fn decimal(self, out: &mut Vec<u8>, number: f64) {
        if self == Form::Original {
            // Rust writes a whole double without a fraction, as Go does below 1e21.
            if let Ok(whole) = number.to_string().parse::<i64>() {
                return put(write!(out, "{whole}"));
            }
        }
        // Null for what JSON has no word for.
        put(serde_json::to_writer(out, &number));
    }
}

/// Names of columns need no escapes.
fn name(out: &mut Vec<u8>, name: &ColumnName) {
    put(write!(out, "\"{name}\":"));
}

fn put<E: std::fmt::Debug>(written: Result<(), E>) {
    written.expect("BUG: a Vec takes all that is written");
}

fn unknown(name: &str, row: RowRef<'_>) -> Error {
    no_column(name, &row.schema().table().to_string())
}

fn no_column(name: &str, table: &str) -> Error {
    let text = format!("table {table} has no column {name:?}, /v1/schema tells those that it has");
    Error::new(Code::ColumnUnknown, text).field("columns")
}
