//! A sidecar within the test's process, over an LDB that the test writes.

use std::net::SocketAddr;

use ::agent::args::{ServeArgs, SidecarArgs};
use ::agent::sidecar::Started;
use ::ledger::{ColumnType, Value};
use reader::testing::TestLdb;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, ask};

pub(crate) struct Sidecar {
    pub(crate) addr: SocketAddr,
    pub(crate) test: TestLdb,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// A table with every type, in which `auth` has three rows.
pub(crate) fn filled() -> TestLdb {
    let test = TestLdb::new().unwrap();
    let columns = [
        ("zone", ColumnType::String),
        ("id", ColumnType::Integer),
        ("key", ColumnType::ByteString),
        ("ratio", ColumnType::Decimal),
        ("note", ColumnType::Text),
    ];
    test.table("auth", "keys", &columns, &["zone", "id"]).unwrap();
    for (zone, id, key, ratio, note) in [
        ("eu", i64::MAX, Value::Bytes(vec![0, 255]), 10.0, "a \"b\" <ü>"),
        ("eu", 2, Value::Null, 0.5, ""),
        ("us", -1, Value::Bytes(b"ab".to_vec()), 1e300, "x\u{0}y"),
    ] {
        let (zone, note) = (Value::Text(zone.into()), Value::Text(note.into()));
        let row = [zone, Value::Integer(id), key, Value::Decimal(ratio), note];
        test.insert("auth", "keys", &row).unwrap();
    }
    test.table("auth", "blobs", &[("k", ColumnType::ByteString)], &["k"]).unwrap();
    test.insert("auth", "blobs", &[Value::Bytes(b"ab".to_vec())]).unwrap();
    test.table("billing", "plans", &[("id", ColumnType::String)], &["id"]).unwrap();
    test.insert("billing", "plans", &[Value::Text("free".into())]).unwrap();
    test
}

/// A table of so many numbered rows.
pub(crate) fn numbered(rows: i64) -> TestLdb {
    let test = TestLdb::new().unwrap();
    let columns = [("group", ColumnType::String), ("n", ColumnType::Integer)];
    test.table("many", "rows", &columns, &["group", "n"]).unwrap();
    let values = "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < ";
    let sql = format!(
        "INSERT INTO many___rows {values} {rows}) SELECT CASE n % 2 WHEN 0 THEN 'even' ELSE 'odd' END, n FROM c"
    );
    test.sql(&sql).unwrap();
    // So that it stands somewhere.
    test.table("many", "more", &[("id", ColumnType::String)], &["id"]).unwrap();
    test.insert("many", "more", &[Value::Text("one".into())]).unwrap();
    test
}

pub(crate) fn args(test: &TestLdb) -> SidecarArgs {
    SidecarArgs {
        ldb: test.dir().to_owned(),
        bind: "127.0.0.1:0".parse().unwrap(),
        socket: None,
        admin_bind: None,
        serve: ServeArgs::default(),
    }
}

impl Sidecar {
    pub(crate) async fn start(test: TestLdb) -> Self {
        let args = args(&test);
        Self::start_with(test, args).await.unwrap()
    }

    pub(crate) async fn serving(test: TestLdb, serve: ServeArgs) -> Self {
        let args = SidecarArgs { serve, ..args(&test) };
        Self::start_with(test, args).await.unwrap()
    }

    pub(crate) async fn start_with(test: TestLdb, args: SidecarArgs) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (told, tells) = tokio::sync::oneshot::channel();
        let run = ::agent::sidecar::run(args, stop.clone(), |started| told.send(started).unwrap());
        let task = tokio::spawn(run);
        match tells.await {
            Ok(Started { addr, .. }) => Ok(Self { addr: addr.unwrap(), test, stop, task }),
            Err(_) => Err(task.await.unwrap().unwrap_err()),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(self.addr, &format!("GET {path}"), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        ask(self.addr, &format!("POST {path}"), body).await
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
