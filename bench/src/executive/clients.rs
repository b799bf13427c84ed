//! The three ways in which the same rows are written.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ctldb::{
    Author, Batch, Credentials, CtlDb, Deletion, Fence, Limits, Options, Owner, OwnerId, RateLimit,
    SchemaChange, SchemaChangeKind, Secret, TableMutation,
};
use executive::Config;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use ledger::{
    Column, ColumnName, ColumnType, CtlDbUrl, FamilyName, LdbTable, Mutation, Row, TableSchema,
    Value, WriterName,
};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use testkit::mariadb::{Database, MariaDb};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Bare,
    CtlDb,
    Http,
}

/// A server, a ctldb on it, an executive in front of that.
pub(crate) struct Stage {
    // The database goes before its server.
    database: Database,
    ctldb: CtlDb,
    schema: Arc<TableSchema>,
    executive: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<Result<()>>,
    _server: MariaDb,
}

/// A writer with a connection of its own.
pub(crate) enum Client {
    Bare { connection: MySqlConnection, writer: usize },
    CtlDb { ctldb: CtlDb, schema: Arc<TableSchema>, writer: usize },
    Http { sender: SendRequest<Full<Bytes>>, writer: usize },
}

/// A commit is on the disk when it is answered, as MariaDB and MySQL do it unless told otherwise; tests tell them.
const STOCK: &str = "--innodb-flush-log-at-trx-commit=1";
const SECRET: &str = "bench-secret";
const WRITERS: usize = 16;

impl Stage {
    pub(crate) async fn new() -> Result<Self> {
        let start = || MariaDb::start_with(&[STOCK]);
        let server = tokio::task::spawn_blocking(start).await??;
        let database = server.create_database()?;
        let url = CtlDbUrl::parse(&database.url)?;
        // With limits, as an executive has them.
        let options = Options { limits: Some(Limits::default()), ..Options::default() };
        let ctldb = CtlDb::open_with(url.clone(), options)?;
        ctldb.migrate().await?;
        let schema = Arc::new(items(&ctldb).await?);
        for writer in 0..WRITERS {
            let name = name(writer)?;
            ctldb.register_writer(&name, &Secret::from(SECRET)).await?;
            let boundless = RateLimit { rows: u64::from(u32::MAX), ..RateLimit::default() };
            let executive = &OwnerId::Executive;
            ctldb.set_writer_limit(&name, Some(boundless), executive, Fence::Open).await?;
        }
        let mut bare = connect(&database).await?;
        for sql in [
            "CREATE TABLE shop___bare LIKE shop___items",
            "CREATE TABLE bare_ledger LIKE ctlstore_dml_ledger",
            "INSERT INTO locks VALUES ('counter', 0)",
        ] {
            bare.execute(sql).await?;
        }
        bare.close().await?;
        let (stop, (tell, told)) = (CancellationToken::new(), oneshot::channel());
        let config = Config::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), url);
        let running = tokio::spawn(executive::run(config, stop.clone(), move |started| {
            let _ = tell.send(started.addr);
        }));
        let executive = told.await.context("the executive did not start")?;
        Ok(Self { database, ctldb, schema, executive, stop, running, _server: server })
    }

    pub(crate) async fn client(&self, kind: Kind, writer: usize) -> Result<Client> {
        Ok(match kind {
            Kind::Bare => Client::Bare { connection: connect(&self.database).await?, writer },
            Kind::CtlDb => {
                let (ctldb, schema) = (self.ctldb.clone(), Arc::clone(&self.schema));
                Client::CtlDb { ctldb, schema, writer }
            }
            Kind::Http => {
                let stream = TcpStream::connect(self.executive).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Client::Http { sender, writer }
            }
        })
    }

    /// Proves that what was measured was right, and ends the executive.
    pub(crate) async fn end(self) -> Result<()> {
        self.ctldb.verify().await?;
        self.stop.cancel();
        self.running.await?
    }
}

impl Client {
    pub(crate) async fn write(&mut self, rows: usize, round: i64) -> Result<()> {
        match self {
            Client::Bare { connection, writer } => bare(connection, *writer, rows, round).await,
            Client::CtlDb { ctldb, schema, writer } => {
                ctldb.mutate(&batch(schema, *writer, rows, round)?).await?;
                Ok(())
            }
            Client::Http { sender, writer } => post(sender, *writer, rows, round).await,
        }
    }
}

/// All rows by one statement and all entries by another; no audit row, no cookie, no registry, no limit.
async fn bare(
    connection: &mut MySqlConnection,
    writer: usize,
    rows: usize,
    round: i64,
) -> Result<()> {
    connection.execute("START TRANSACTION").await?;
    connection.execute("UPDATE locks SET clock = clock + 1 WHERE id = 'ledger'").await?;
    let sql = "SELECT clock FROM locks WHERE id = 'counter'";
    let mut at: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    let places = |one: &str, count| vec![one; count].join(", ");
    let sql = format!("REPLACE INTO shop___bare (id, price) VALUES {}", places("(?, ?)", rows));
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in 0..rows {
        query = query.bind(id(writer, row)).bind(round);
    }
    query.execute(&mut *connection).await?;
    let entries = if rows == 1 { 1 } else { rows + 2 };
    let sql = format!(
        "INSERT INTO bare_ledger (seq, leader_ts, statement) VALUES {}",
        places("(?, ?, ?)", entries)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in 0..entries {
        at += 1;
        let id = id(writer, row);
        let text = format!(r#"REPLACE INTO shop___items ("id","price") VALUES('{id}',{round})"#);
        query = query.bind(at).bind("2026-01-01 00:00:00.000000").bind(text);
    }
    query.execute(&mut *connection).await?;
    let query = sqlx::query("UPDATE locks SET clock = ? WHERE id = 'counter'").bind(at);
    query.execute(&mut *connection).await?;
    connection.execute("COMMIT").await?;
    Ok(())
}

fn batch(schema: &Arc<TableSchema>, writer: usize, rows: usize, round: i64) -> Result<Batch> {
    let change = |row| {
        let row = Row::new(schema, vec![Value::Text(id(writer, row)), Value::Integer(round)])?;
        anyhow::Ok(TableMutation { schema: Arc::clone(schema), mutation: Mutation::Upsert(row) })
    };
    Ok(Batch {
        family: FamilyName::parse("shop")?,
        credentials: Credentials { writer: name(writer)?, secret: Secret::from(SECRET) },
        cookie: Some(round.to_be_bytes().to_vec()),
        check_cookie: None,
        mutations: (0..rows).map(change).collect::<Result<_>>()?,
        author: Author::system("bench"),
    })
}

async fn post(
    sender: &mut SendRequest<Full<Bytes>>,
    writer: usize,
    rows: usize,
    round: i64,
) -> Result<()> {
    let change = |row| {
        let values = serde_json::json!({"id": id(writer, row), "price": round});
        serde_json::json!({"table": "items", "delete": false, "values": values})
    };
    let changes: Vec<_> = (0..rows).map(change).collect();
    let body = serde_json::json!({"cookie": "AAAA", "mutations": changes}).to_string();
    let request = Request::post("/families/shop/mutations")
        .header("host", "executive")
        .header("ctlstore-writer", name(writer)?.as_str())
        .header("ctlstore-secret", SECRET)
        .body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    match status {
        StatusCode::OK => Ok(()),
        other => bail!("{other}: {}", String::from_utf8_lossy(&body)),
    }
}

async fn items(ctldb: &CtlDb) -> Result<TableSchema> {
    let column =
        |name, column_type| anyhow::Ok(Column { name: ColumnName::parse(name)?, column_type });
    let columns = vec![column("id", ColumnType::String)?, column("price", ColumnType::Integer)?];
    let table = LdbTable::parse("shop___items")?;
    let schema = TableSchema::new(table.clone(), columns, vec![ColumnName::parse("id")?])?;
    ctldb.create_family(table.family(), Fence::Open).await?;
    let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
    let kind = SchemaChangeKind::Create { schema: schema.clone(), owner };
    let change = SchemaChange { table, by: OwnerId::Executive, kind };
    ctldb.change_schema(&change, &Author::system("bench"), Fence::Open).await?;
    Ok(schema)
}

async fn connect(database: &Database) -> Result<MySqlConnection> {
    let options: MySqlConnectOptions = database.url.parse()?;
    Ok(MySqlConnection::connect_with(&options).await?)
}

fn name(writer: usize) -> Result<WriterName> {
    Ok(WriterName::parse(&format!("writer-{writer}"))?)
}

fn id(writer: usize, row: usize) -> String {
    format!("w{writer}-row{row}")
}
