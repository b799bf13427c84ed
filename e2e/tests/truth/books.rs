//! The writer's side: a ledger in a MariaDB of its own, with a table of one row a write.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use ctldb::{
    Author, Batch, Credentials, CtlDb, Deletion, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind, Secret, TableMutation,
};
use ledger::{
    Chain, Column, ColumnName, ColumnType, CtlDbUrl, Entry, LdbTable, LeaderTs, Mutation, Row, Seq,
    TableSchema, Value, WriterName,
};
use testkit::mariadb::{Database, MariaDb};

/// Of which SQLite knows no word, so that only a strict reader refuses it for the right reason.
const POISON: &str = "ATTACH DATABASE 'evil.db' AS evil";

pub(crate) struct Books {
    pub(crate) server: MariaDb,
    pub(crate) database: Database,
    ctldb: CtlDb,
    schema: Arc<TableSchema>,
    writer: Credentials,
}

impl Books {
    /// With a table and one row.
    pub(crate) async fn new() -> Result<Self> {
        let server = MariaDb::start()?;
        let database = server.create_database()?;
        let ctldb = CtlDb::open(CtlDbUrl::parse(&database.url)?)?;
        ctldb.migrate().await.context("migrate")?;
        let schema = schema()?;
        ctldb.create_family(schema.table().family(), Fence::Open).await?;
        let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
        let kind = SchemaChangeKind::Create { schema: schema.clone(), owner };
        let change = SchemaChange { table: schema.table().clone(), by: OwnerId::Executive, kind };
        ctldb.change_schema(&change, &author(), Fence::Open).await.context("make the table")?;
        let (writer, secret) = (WriterName::parse("truth")?, Secret::from("a-secret".to_owned()));
        ctldb.register_writer(&writer, &secret).await?;
        let writer = Credentials { writer, secret };
        let books = Self { server, database, ctldb, schema: Arc::new(schema), writer };
        books.write("first", 10).await?;
        Ok(books)
    }

    /// Writes one row of so many bytes; its sequence.
    pub(crate) async fn write(&self, id: &str, bytes: usize) -> Result<u64> {
        let values = vec![Value::Text(id.to_owned()), Value::Text("x".repeat(bytes))];
        let mutation = Mutation::Upsert(Row::new(&self.schema, values)?);
        let batch = Batch {
            family: self.schema.table().family().clone(),
            credentials: self.writer.clone(),
            cookie: None,
            check_cookie: None,
            mutations: vec![TableMutation { schema: Arc::clone(&self.schema), mutation }],
            author: author(),
        };
        Ok(self.ctldb.mutate(&batch).await.context("write a batch")?.mark.seq.get())
    }

    /// Appends what no agent applies, as somebody with the database's password may.
    pub(crate) async fn poison(&self) -> Result<Seq> {
        let meta = self.ctldb.meta().await?;
        let (last, chain) = (meta.last_seq().get(), meta.chain());
        let seq = Seq::try_from(last + 1)?;
        // To the second, so that the text is the same wherever it goes through.
        let leader_ts = LeaderTs::from_micros(1_700_000_000_000_000);
        let entry = Entry { seq, leader_ts, statement: POISON.to_owned() };
        let chain: Chain = chain.link(entry.digest());
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (digest, chain) = (hex(entry.digest().as_bytes()), hex(chain.as_bytes()));
        let statement = POISON.replace('\'', "''");
        self.server.sql(&format!(
            "USE {0}; START TRANSACTION;
             INSERT INTO ctlstore_dml_ledger (seq, leader_ts, statement) VALUES ({seq}, '{leader_ts}', '{statement}');
             INSERT INTO ctlstore_batches (first_seq, last_seq, chain, principal, source_address, request_id, upserts, deletes)
               VALUES ({seq}, {seq}, x'{chain}', 'by hand', '', '', 0, 0);
             UPDATE ctlstore_meta SET last_seq = {seq}, last_digest = x'{digest}', chain = x'{chain}'; COMMIT",
            self.database.name,
        ))?;
        Ok(seq)
    }

    /// Lets agents pass it.
    pub(crate) async fn skip(&self, seq: Seq) -> Result<()> {
        Ok(self.ctldb.skip(seq, "written by hand", &author()).await?)
    }
}

/// `fam/tbl`, a text by its name.
fn schema() -> Result<TableSchema> {
    let column = |name: &str, column_type| {
        anyhow::Ok(Column { name: ColumnName::parse(name)?, column_type })
    };
    let columns = vec![column("id", ColumnType::String)?, column("body", ColumnType::Text)?];
    Ok(TableSchema::new(LdbTable::parse("fam___tbl")?, columns, vec![ColumnName::parse("id")?])?)
}

fn author() -> Author {
    Author::system("truth")
}
