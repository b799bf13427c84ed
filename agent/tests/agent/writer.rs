//! Writes through the `ctldb` crate, as the operator and the executive do.

use std::sync::Arc;

use ::ledger::{CtlDbUrl, Mutation, TableSchema, WriterName};
use ctldb::{
    Author, Batch, Credentials, CtlDb, Deletion, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind, Secret, TableMutation,
};

pub(crate) struct Writer {
    pub(crate) ctldb: CtlDb,
    credentials: Credentials,
    author: Author,
}

impl Writer {
    pub(crate) async fn new(url: CtlDbUrl) -> Self {
        let ctldb = CtlDb::open(url).unwrap();
        ctldb.migrate().await.unwrap();
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

    /// The last sequence.
    pub(crate) async fn write(&self, schema: &TableSchema, mutations: Vec<Mutation>) -> u64 {
        let schema = Arc::new(schema.clone());
        let family = schema.table().family().clone();
        let table = |mutation| TableMutation { schema: Arc::clone(&schema), mutation };
        let batch = Batch {
            family,
            credentials: self.credentials.clone(),
            cookie: None,
            check_cookie: None,
            mutations: mutations.into_iter().map(table).collect(),
            author: self.author.clone(),
        };
        self.ctldb.mutate(&batch).await.unwrap().mark.seq.get()
    }

    pub(crate) fn author(&self) -> &Author {
        &self.author
    }
}
