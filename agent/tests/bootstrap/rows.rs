//! Rows written through the `ctldb` crate, as the executive writes them.

use std::sync::Arc;

use ::ledger::{
    Column, ColumnName, ColumnType, LdbTable, Mutation, Row, TableSchema, Value, WriterName,
};
use ctldb::{
    Author, Batch, Credentials, CtlDb, Deletion, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind, Secret, TableMutation,
};

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

pub(crate) struct Writer {
    ctldb: CtlDb,
    credentials: Credentials,
    author: Author,
}

impl Writer {
    pub(crate) async fn new(ctldb: CtlDb) -> Self {
        let author = Author {
            writer: None,
            principal: "test".to_owned(),
            source_address: "local".to_owned(),
            request_id: "1".to_owned(),
            reason: None,
        };
        let writer = WriterName::parse("tests").unwrap();
        let credentials = Credentials { writer, secret: Secret::new("test-secret".to_owned()) };
        ctldb.register_writer(&credentials.writer, &credentials.secret).await.unwrap();
        Self { ctldb, credentials, author }
    }

    pub(crate) async fn create(&self, schema: &TableSchema) {
        self.ctldb.create_family(schema.table().family(), Fence::Open).await.unwrap();
        let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
        let kind = SchemaChangeKind::Create { schema: schema.clone(), owner };
        let by = OwnerId::Executive;
        let change = SchemaChange { table: schema.table().clone(), by, kind };
        self.ctldb.change_schema(&change, &self.author, Fence::Open).await.unwrap();
    }

    /// Writes a row; its sequence.
    pub(crate) async fn write(&self, schema: &TableSchema, row: i64) -> u64 {
        let values = vec![
            Value::Integer(row),
            Value::Text(format!("row 'ä' {row}")),
            Value::Decimal(f64::from(i32::try_from(row).unwrap()) / 7.0),
            Value::Bytes(vec![0, 255, u8::try_from(row % 256).unwrap()]),
        ];
        let mutation = Mutation::Upsert(Row::new(schema, values).unwrap());
        let batch = Batch {
            family: schema.table().family().clone(),
            credentials: self.credentials.clone(),
            cookie: None,
            check_cookie: None,
            mutations: vec![TableMutation { schema: Arc::new(schema.clone()), mutation }],
            author: self.author.clone(),
        };
        self.ctldb.mutate(&batch).await.unwrap().mark.seq.get()
    }
}
