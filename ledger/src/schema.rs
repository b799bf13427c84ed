//! What a table looks like: its columns in their order and its key.

use serde::{Deserialize, Serialize};

use crate::{Column, ColumnName, ColumnType, LdbTable};

/// The most columns a table may have.
pub const MAX_COLUMNS: usize = 256;
/// The most columns a key may have (MySQL's limit of key parts).
pub const MAX_KEY_COLUMNS: usize = 16;
/// The most bytes a key may have in MySQL (InnoDB, 16 KiB pages).
pub const MAX_KEY_BYTES: usize = 3072;
/// The most bytes a row may have in MySQL, text and bytes of up to 16 MiB not counted.
pub const MAX_ROW_BYTES: usize = 65_535;
/// The most bytes of a row that must fit a page of InnoDB (two rows a page of 16 KiB), long columns moved out.
pub const MAX_PAGE_BYTES: usize = 8125;
/// What InnoDB adds to each row in a page: a header of 5 bytes, and who wrote it last (6 and 7 bytes).
const PAGE_OVERHEAD_BYTES: usize = 18;

/// A table: its name, its columns in order, and its key, whose order may differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct TableSchema {
    table: LdbTable,
    columns: Vec<Column>,
    key: Vec<ColumnName>,
}

/// A table that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Two columns bear the same name.
    #[error("table {table}: column {column:?} is there twice, remove one", column = column.as_str())]
    DuplicateColumn {
        /// The table.
        table: LdbTable,
        /// The name.
        column: ColumnName,
    },
    /// The key is empty.
    #[error("table {table}: no key column, name at least one")]
    NoKey {
        /// The table.
        table: LdbTable,
    },
    /// The key names a column twice.
    #[error("table {table}: key column {column:?} is there twice, remove one", column = column.as_str())]
    DuplicateKeyColumn {
        /// The table.
        table: LdbTable,
        /// The name.
        column: ColumnName,
    },
    /// The key names a column that is not there.
    #[error("table {table}: key column {column:?} is not among the columns, add it or remove it from the key", column = column.as_str())]
    KeyColumnMissing {
        /// The table.
        table: LdbTable,
        /// The name.
        column: ColumnName,
    },
    /// A key column has a type that cannot be a key.
    #[error("table {table}: column {column:?} of type {column_type} cannot be in the key, use String, Integer or ByteString", column = column.as_str())]
    KeyType {
        /// The table.
        table: LdbTable,
        /// The name.
        column: ColumnName,
        /// Its type.
        column_type: ColumnType,
    },
}

/// A table that MySQL would refuse for its size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooWide {
    /// Too many columns.
    #[error("table {table} has {columns} columns, at most {MAX_COLUMNS} are possible: split it")]
    Columns {
        /// The table.
        table: LdbTable,
        /// How many it has.
        columns: usize,
    },
    /// Too many key columns.
    #[error(
        "the key of table {table} has {columns} columns, at most {MAX_KEY_COLUMNS} are possible: shorten it"
    )]
    KeyColumns {
        /// The table.
        table: LdbTable,
        /// How many it has.
        columns: usize,
    },
    /// The row is too wide.
    #[error(
        "a row of table {table} takes up to {bytes} bytes, at most {MAX_ROW_BYTES} are possible: use Text or Binary for wide columns, or split the table"
    )]
    Row {
        /// The table.
        table: LdbTable,
        /// How many bytes a row may take.
        bytes: usize,
    },
    /// What stays in a page of the row is too wide, mostly since there are very many columns.
    #[error(
        "a row of table {table} takes up to {bytes} bytes in a database page, at most {MAX_PAGE_BYTES} are possible: split the table"
    )]
    Page {
        /// The table.
        table: LdbTable,
        /// How many bytes a row may take in a page.
        bytes: usize,
    },
    /// The key is too wide.
    #[error(
        "the key of table {table} takes up to {bytes} bytes, at most {MAX_KEY_BYTES} are possible: use fewer String columns in the key (764 bytes each)"
    )]
    Key {
        /// The table.
        table: LdbTable,
        /// How many bytes a key may take.
        bytes: usize,
    },
}

impl TableSchema {
    /// Puts a table together.
    ///
    /// # Errors
    /// Columns or key make no sense. Width is a matter of [`TableSchema::check_width`].
    pub fn new(
        table: LdbTable,
        columns: Vec<Column>,
        key: Vec<ColumnName>,
    ) -> Result<Self, SchemaError> {
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|other| other.name == column.name) {
                return Err(SchemaError::DuplicateColumn { table, column: column.name.clone() });
            }
        }
        if key.is_empty() {
            return Err(SchemaError::NoKey { table });
        }
        for (index, name) in key.iter().enumerate() {
            let column = name.clone();
            if key[..index].contains(name) {
                return Err(SchemaError::DuplicateKeyColumn { table, column });
            }
            match columns.iter().find(|column| column.name == *name) {
                None => return Err(SchemaError::KeyColumnMissing { table, column }),
                Some(found) if !found.column_type.may_be_key() => {
                    return Err(SchemaError::KeyType {
                        table,
                        column,
                        column_type: found.column_type,
                    });
                }
                Some(_) => {}
            }
        }
        Ok(Self { table, columns, key })
    }

    /// Does MySQL take a table of this size? Checked before a table is made or widened, so that the answer comes
    /// before any DDL runs.
    ///
    /// # Errors
    /// The limit that it passes.
    pub fn check_width(&self) -> Result<(), TooWide> {
        let table = || self.table.clone();
        if self.columns.len() > MAX_COLUMNS {
            return Err(TooWide::Columns { table: table(), columns: self.columns.len() });
        }
        if self.key.len() > MAX_KEY_COLUMNS {
            return Err(TooWide::KeyColumns { table: table(), columns: self.key.len() });
        }
        let bytes = self.key_columns().map(|column| column.column_type.key_bytes()).sum();
        if bytes > MAX_KEY_BYTES {
            return Err(TooWide::Key { table: table(), bytes });
        }
        let bytes = self.row_bytes();
        if bytes > MAX_ROW_BYTES {
            return Err(TooWide::Row { table: table(), bytes });
        }
        match self.page_bytes() {
            bytes if bytes > MAX_PAGE_BYTES => Err(TooWide::Page { table: table(), bytes }),
            _ => Ok(()),
        }
    }

    fn row_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(|column| column.column_type.row_bytes()).sum();
        columns + self.null_bytes()
    }

    /// A bit for each column that may be null, which those of the key may not.
    fn null_bytes(&self) -> usize {
        (self.columns.len() - self.key.len()).div_ceil(8)
    }

    /// Key columns cannot leave the page, so they count whole. MySQL and MariaDB estimate this each in their own way
    /// when a table is made; this is never below either, so a row that we accept fits when it is written, too.
    fn page_bytes(&self) -> usize {
        let columns = self.columns.iter().map(|column| match self.key.contains(&column.name) {
            true => column.column_type.row_bytes(),
            false => column.column_type.page_bytes(),
        });
        columns.sum::<usize>() + self.null_bytes() + PAGE_OVERHEAD_BYTES
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &LdbTable {
        &self.table
    }

    /// The columns, in their order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The names of the key's columns, in the key's order.
    #[must_use]
    pub fn key(&self) -> &[ColumnName] {
        &self.key
    }

    /// The key's columns, in the key's order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key
            .iter()
            .map(|name| self.column(name).expect("BUG: new() checked that key columns exist"))
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &ColumnName) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The same table with more columns at its end.
    ///
    /// # Errors
    /// One of them is there already.
    pub fn with_columns(
        &self,
        added: impl IntoIterator<Item = Column>,
    ) -> Result<Self, SchemaError> {
        let columns = self.columns.iter().cloned().chain(added).collect();
        Self::new(self.table.clone(), columns, self.key.clone())
    }

    /// Is the key a single integer? SQLite makes such a column the row's number.
    #[must_use]
    pub fn has_integer_key(&self) -> bool {
        let mut key = self.key_columns();
        matches!((key.next(), key.next()), (Some(only), None) if only.column_type == ColumnType::Integer)
    }
}

#[derive(Deserialize)]
struct Unchecked {
    table: LdbTable,
    columns: Vec<Column>,
    key: Vec<ColumnName>,
}

impl TryFrom<Unchecked> for TableSchema {
    type Error = SchemaError;
    fn try_from(Unchecked { table, columns, key }: Unchecked) -> Result<Self, SchemaError> {
        Self::new(table, columns, key)
    }
}

#[cfg(test)]
mod tests;
