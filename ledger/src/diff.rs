//! What must be done to a table so that it becomes what is wanted, or why that cannot be. Pure.

use crate::{Column, ColumnName, ColumnType, TableSchema, TooWide};

/// What to do to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is as wanted.
    Nothing,
    /// It is not there: create it.
    Create(TableSchema),
    /// Add these columns, in this order, at its end. Never empty.
    AddColumns(Vec<Column>),
}

/// A change that is never made, because it would lose or reinterpret rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A column would change its type.
    #[error("column {column:?} is {live} and cannot become {wanted}: add a column of another name, or create a new table", column = column.as_str())]
    TypeChanged {
        /// The column.
        column: ColumnName,
        /// What it is.
        live: ColumnType,
        /// What was asked for.
        wanted: ColumnType,
    },
    /// The key would change.
    #[error("the key is ({live}) and cannot become ({wanted}): create a new table", live = list(live), wanted = list(wanted))]
    KeyChanged {
        /// What it is.
        live: Vec<ColumnName>,
        /// What was asked for.
        wanted: Vec<ColumnName>,
    },
    /// Columns would go.
    #[error(
        "column {} is in the table but not in the request, and columns are never removed: add it to the request",
        list(columns)
    )]
    ColumnsRemoved {
        /// The columns that are there and not wanted.
        columns: Vec<ColumnName>,
    },
    /// The table would be too wide for MySQL.
    #[error(transparent)]
    TooWide(#[from] TooWide),
}

/// Compares a table with what is wanted. The order of columns does not matter, except that new ones are added in the
/// order in which they are wanted.
///
/// # Errors
/// The change is one that is never made.
pub fn diff(live: Option<&TableSchema>, wanted: &TableSchema) -> Result<Change, Refusal> {
    wanted.check_width()?;
    let Some(live) = live else { return Ok(Change::Create(wanted.clone())) };
    for column in live.columns() {
        match wanted.column(&column.name) {
            Some(other) if other.column_type != column.column_type => {
                return Err(Refusal::TypeChanged {
                    column: column.name.clone(),
                    live: column.column_type,
                    wanted: other.column_type,
                });
            }
            Some(_) | None => {}
        }
    }
    if live.key() != wanted.key() {
        return Err(Refusal::KeyChanged {
            live: live.key().to_vec(),
            wanted: wanted.key().to_vec(),
        });
    }
    let names =
        |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let mut removed = names(live.columns());
    removed.retain(|name| wanted.column(name).is_none());
    if !removed.is_empty() {
        return Err(Refusal::ColumnsRemoved { columns: removed });
    }
    let mut added = wanted.columns().to_vec();
    added.retain(|column| live.column(&column.name).is_none());
    Ok(if added.is_empty() { Change::Nothing } else { Change::AddColumns(added) })
}

fn list(names: &[ColumnName]) -> String {
    names.iter().map(ColumnName::as_str).collect::<Vec<_>>().join(", ")
}
