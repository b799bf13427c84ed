//! What a ledger entry says. [`Display`](fmt::Display) writes the text of the original, to the byte;
//! [`Statement::parse`] reads it back.

use std::fmt;

use crate::{Column, ColumnName, Key, LdbTable, Literal, Row, TableSchema};

/// A statement of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `--- BEGIN`: the entries up to [`Statement::Commit`] become visible together.
    Begin,
    /// `--- COMMIT`
    Commit,
    /// A table is made.
    CreateTable(TableSchema),
    /// A table gets one more column at its end.
    AddColumn {
        /// The table.
        table: LdbTable,
        /// The column.
        column: Column,
    },
    /// A whole row is written, in place of the one with the same key if there is one.
    Upsert {
        /// The table.
        table: LdbTable,
        /// All columns, in the order of the values.
        columns: Vec<ColumnName>,
        /// Their values.
        values: Vec<Literal>,
    },
    /// The row of this key is deleted, if it is there.
    Delete {
        /// The table.
        table: LdbTable,
        /// The key's columns and their values.
        key: Vec<(ColumnName, Literal)>,
    },
    /// All rows of a table are deleted.
    ClearTable(LdbTable),
    /// A table is dropped, if it is there.
    DropTable(LdbTable),
}

impl Statement {
    /// The text of [`Statement::Begin`].
    pub const BEGIN: &'static str = "--- BEGIN";
    /// The text of [`Statement::Commit`].
    pub const COMMIT: &'static str = "--- COMMIT";

    /// Writes a row.
    #[must_use]
    pub fn upsert(schema: &TableSchema, row: &Row) -> Self {
        Statement::Upsert {
            table: schema.table().clone(),
            columns: schema.columns().iter().map(|column| column.name.clone()).collect(),
            values: row.values().iter().map(Literal::from).collect(),
        }
    }

    /// Deletes a row.
    #[must_use]
    pub fn delete(schema: &TableSchema, key: &Key) -> Self {
        let values = key.values().iter().map(Literal::from);
        Statement::Delete {
            table: schema.table().clone(),
            key: schema.key().iter().cloned().zip(values).collect(),
        }
    }

    /// The table that it is about; the frame of a transaction is about none.
    #[must_use]
    pub fn table(&self) -> Option<&LdbTable> {
        match self {
            Statement::Begin | Statement::Commit => None,
            Statement::CreateTable(schema) => Some(schema.table()),
            Statement::AddColumn { table, .. }
            | Statement::Upsert { table, .. }
            | Statement::Delete { table, .. }
            | Statement::ClearTable(table)
            | Statement::DropTable(table) => Some(table),
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Begin => out.write_str(Self::BEGIN),
            Statement::Commit => out.write_str(Self::COMMIT),
            Statement::CreateTable(schema) => {
                write!(out, "CREATE TABLE {} (", schema.table())?;
                for Column { name, column_type } in schema.columns() {
                    quoted(out, name)?;
                    write!(out, " {}, ", column_type.sqlite())?;
                }
                out.write_str("PRIMARY KEY(")?;
                list(out, ",", schema.key(), quoted)?;
                out.write_str("));")
            }
            Statement::AddColumn { table, column: Column { name, column_type } } => {
                write!(out, "ALTER TABLE {table} ADD COLUMN \"{name}\" {}", column_type.sqlite())
            }
            Statement::Upsert { table, columns, values } => {
                write!(out, "REPLACE INTO {table} (")?;
                list(out, ",", columns, quoted)?;
                out.write_str(") VALUES(")?;
                list(out, ",", values, |out, value| fmt::Display::fmt(value, out))?;
                out.write_str(")")
            }
            Statement::Delete { table, key } => {
                write!(out, "DELETE FROM {table} WHERE ")?;
                list(out, " AND ", key, |out, (name, value)| {
                    quoted(out, name)?;
                    write!(out, " = {value}")
                })
            }
            Statement::ClearTable(table) => write!(out, "DELETE FROM {table}"),
            Statement::DropTable(table) => write!(out, "DROP TABLE IF EXISTS {table}"),
        }
    }
}

fn quoted(out: &mut fmt::Formatter<'_>, name: &ColumnName) -> fmt::Result {
    out.write_str("\"")?;
    out.write_str(name.as_str())?;
    out.write_str("\"")
}

fn list<'a, T>(
    out: &mut fmt::Formatter<'_>,
    separator: &str,
    items: &'a [T],
    write: impl Fn(&mut fmt::Formatter<'_>, &'a T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { separator })?;
        write(out, item)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
