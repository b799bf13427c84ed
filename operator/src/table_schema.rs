//! From the columns and the key that a `CtlTable` declares to the ledger's schema. Pure.

use crds::CtlTable;
use ledger::{Column, ColumnName, ColumnType, LdbTable, NameError, SchemaError, TableSchema};

/// What the ledger does not accept of a declaration.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// A column's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The columns and the key together.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// The schema that the object declares for the table of this name.
///
/// # Errors
/// A column's name is illegal, or the columns and the key make no table.
pub fn table_schema(name: LdbTable, table: &CtlTable) -> Result<TableSchema, DeclarationError> {
    let columns = table.spec.columns.iter().map(|column| {
        let name = ColumnName::parse(&column.name)?;
        Ok(Column { name, column_type: column_type(column.type_) })
    });
    let columns = columns.collect::<Result<Vec<_>, NameError>>()?;
    let key = table.spec.key_columns.iter().map(|name| ColumnName::parse(name));
    Ok(TableSchema::new(name, columns, key.collect::<Result<_, _>>()?)?)
}

fn column_type(column_type: crds::ColumnType) -> ColumnType {
    match column_type {
        crds::ColumnType::String => ColumnType::String,
        crds::ColumnType::Integer => ColumnType::Integer,
        crds::ColumnType::Decimal => ColumnType::Decimal,
        crds::ColumnType::Text => ColumnType::Text,
        crds::ColumnType::Binary => ColumnType::Binary,
        crds::ColumnType::ByteString => ColumnType::ByteString,
    }
}
