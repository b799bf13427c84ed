//! A table with a column of each small type, and its rows.

use ::ledger::{Column, ColumnName, ColumnType, LdbTable, Mutation, Row, TableSchema, Value};

pub(crate) fn schema() -> TableSchema {
    let column = |name, column_type| Column { name: ColumnName::parse(name).unwrap(), column_type };
    let columns = vec![
        column("id", ColumnType::Integer),
        column("name", ColumnType::String),
        column("ratio", ColumnType::Decimal),
        column("raw", ColumnType::ByteString),
    ];
    let key = vec![ColumnName::parse("id").unwrap()];
    TableSchema::new(LdbTable::parse("fam___rows").unwrap(), columns, key).unwrap()
}

/// Writes a row.
pub(crate) fn upsert(schema: &TableSchema, row: i64) -> Mutation {
    let values = vec![
        Value::Integer(row),
        Value::Text(format!("row 'ä' {row}")),
        Value::Decimal(f64::from(i32::try_from(row).unwrap()) / 7.0),
        Value::Bytes(vec![0, 255, u8::try_from(row % 256).unwrap()]),
    ];
    Mutation::Upsert(Row::new(schema, values).unwrap())
}
