//! Short ways to say what a test is about.

use std::sync::Arc;

use anyhow::Result;
use ctldb::{
    Applied, Author, Batch, Credentials, CtlDb, Deletion, Error, Fence, Owner, OwnerId,
    SchemaChange, SchemaChangeKind, Secret, TableMutation,
};
use ledger::{
    Column, ColumnName, ColumnType, FamilyName, Key, LdbTable, Mutation, Row, Seq, TableSchema,
    Value, WriterName,
};

pub(crate) fn family(name: &str) -> FamilyName {
    FamilyName::parse(name).unwrap()
}

pub(crate) fn table(name: &str) -> LdbTable {
    LdbTable::parse(name).unwrap()
}

pub(crate) fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: ColumnName::parse(name).unwrap(), column_type }
}

pub(crate) fn schema(name: &str, columns: &[(&str, ColumnType)], key: &[&str]) -> TableSchema {
    let columns = columns.iter().map(|(name, column_type)| column(name, *column_type)).collect();
    let key = key.iter().map(|name| ColumnName::parse(name).unwrap()).collect();
    TableSchema::new(table(name), columns, key).unwrap()
}

/// `shop___items (id STRING, price INTEGER)`.
pub(crate) fn items() -> TableSchema {
    schema("shop___items", &[("id", ColumnType::String), ("price", ColumnType::Integer)], &["id"])
}

pub(crate) fn author() -> Author {
    Author {
        writer: None,
        principal: "tester".to_owned(),
        source_address: "127.0.0.1".to_owned(),
        request_id: "r1".to_owned(),
        reason: Some("a test".to_owned()),
    }
}

pub(crate) fn owner() -> Owner {
    Owner { id: OwnerId::Executive, deletion: Deletion::Retain }
}

pub(crate) fn create(schema: &TableSchema) -> SchemaChange {
    let kind = SchemaChangeKind::Create { schema: schema.clone(), owner: owner() };
    SchemaChange { table: schema.table().clone(), by: OwnerId::Executive, kind }
}

pub(crate) fn add(table: &LdbTable, columns: &[Column]) -> SchemaChange {
    let kind = SchemaChangeKind::AddColumns(columns.to_vec());
    SchemaChange { table: table.clone(), by: OwnerId::Executive, kind }
}

pub(crate) fn drop_table(table: &LdbTable) -> SchemaChange {
    SchemaChange { table: table.clone(), by: OwnerId::Executive, kind: SchemaChangeKind::Drop }
}

pub(crate) async fn change(ctldb: &CtlDb, change: &SchemaChange) -> Result<Applied, Error> {
    ctldb.change_schema(change, &author(), Fence::Open).await
}

pub(crate) fn credentials() -> Credentials {
    Credentials { writer: WriterName::parse("writer1").unwrap(), secret: Secret::from("secret") }
}

/// A family `shop`, the table of [`items`] and the writer of [`credentials`].
pub(crate) async fn shop(ctldb: &CtlDb) -> Result<Arc<TableSchema>> {
    ctldb.create_family(&family("shop"), Fence::Open).await?;
    change(ctldb, &create(&items())).await?;
    let Credentials { writer, secret } = credentials();
    ctldb.register_writer(&writer, &secret).await?;
    Ok(Arc::new(items()))
}

pub(crate) fn upsert(schema: &Arc<TableSchema>, values: Vec<Value>) -> TableMutation {
    let row = Row::new(schema, values).unwrap();
    TableMutation { schema: Arc::clone(schema), mutation: Mutation::Upsert(row) }
}

pub(crate) fn delete(schema: &Arc<TableSchema>, key: Vec<Value>) -> TableMutation {
    let key = Key::new(schema, key).unwrap();
    TableMutation { schema: Arc::clone(schema), mutation: Mutation::Delete(key) }
}

/// An item of the shop.
pub(crate) fn item(schema: &Arc<TableSchema>, id: &str, price: i64) -> TableMutation {
    upsert(schema, vec![Value::Text(id.to_owned()), Value::Integer(price)])
}

pub(crate) fn batch(mutations: Vec<TableMutation>) -> Batch {
    Batch {
        family: family("shop"),
        credentials: credentials(),
        cookie: None,
        check_cookie: None,
        mutations,
        author: author(),
    }
}

/// All texts of the ledger, which must be dense from 1.
pub(crate) async fn ledger_texts(ctldb: &CtlDb) -> Result<Vec<String>> {
    let entries = ctldb.entries(Seq::ZERO, 1_000_000).await?;
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry.seq.get(), u64::try_from(index)? + 1, "the ledger has a hole");
    }
    Ok(entries.into_iter().map(|entry| entry.statement).collect())
}
