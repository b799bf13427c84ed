//! An executive of its own for each test, with a ctldb of its own behind it.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use ctldb::CtlDb;
use executive::{Config, Started};
use hyper::body::Bytes;
use ledger::{CtlDbUrl, Entry, Seq};
use testkit::eventually;
use testkit::mariadb::MariaDb;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, send};

pub(crate) const WRITER: &str = "writer1";
pub(crate) const SECRET: &str = "the-secret-of-writer1";
pub(crate) const AS_WRITER: [(&str, &str); 2] =
    [("ctlstore-writer", WRITER), ("ctlstore-secret", SECRET)];

/// Which database is behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Sqlite,
    MariaDb,
}

impl Backend {
    pub(crate) const ALL: [Backend; 2] = [Backend::Sqlite, Backend::MariaDb];
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) admin_addr: Option<SocketAddr>,
    pub(crate) url: CtlDbUrl,
    /// The same ctldb, past the executive.
    pub(crate) db: CtlDb,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<anyhow::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Server {
    /// With an empty ctldb, ready, and open to every admin.
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::start_with(backend, |_| {}).await
    }

    pub(crate) async fn start_with(backend: Backend, configure: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", dir.path().join("ctldb.db").display()),
            Backend::MariaDb => MariaDb::shared().create_database().unwrap().url,
        };
        let server = Self::launch(CtlDbUrl::parse(&url).unwrap(), dir, configure).await;
        server.ready().await;
        server
    }

    /// Another one in front of the same ctldb.
    pub(crate) async fn beside(&self, configure: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Self::launch(self.url.clone(), dir, configure).await;
        server.ready().await;
        server
    }

    /// In front of a ctldb that may not be there.
    pub(crate) async fn launch(
        url: CtlDbUrl,
        dir: tempfile::TempDir,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        crate::log::capture();
        let mut config = Config::open("127.0.0.1:0".parse().unwrap(), url.clone());
        // The tests of limits set their own.
        config.limits.rate.rows = 1_000_000_000;
        configure(&mut config);
        let stop = CancellationToken::new();
        let (told, started) = oneshot::channel();
        let run =
            executive::run(config, stop.clone(), |started: Started| told.send(started).unwrap());
        let task = tokio::spawn(run);
        let Started { addr, admin_addr } = started.await.unwrap();
        let db = CtlDb::open(url.clone()).unwrap();
        Self { addr, admin_addr, url, db, stop, task, _dir: dir }
    }

    pub(crate) async fn ready(&self) {
        let ready = eventually(Duration::from_secs(30), async || {
            let answer = self.send("GET /healthcheck", &[], "").await;
            anyhow::ensure!(answer.status == 200, "{}", answer.text());
            Ok(())
        });
        ready.await.unwrap();
    }

    pub(crate) async fn send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        send(self.addr, line, headers, body).await
    }

    /// As the writer.
    pub(crate) async fn mutate(&self, family: &str, body: impl Into<Bytes>) -> Answer {
        self.send(&format!("POST /families/{family}/mutations"), &AS_WRITER, body).await
    }

    /// A writer, a family `fam` and its table `kv` (key `id` integer, `value` string).
    pub(crate) async fn with_kv(self) -> Self {
        self.send(&format!("POST /writers/{WRITER}"), &[], SECRET).await.ok();
        self.send("POST /families/fam", &[], "").await.ok();
        let table = r#"{"fields":[["id","integer"],["value","string"]],"keyFields":["id"]}"#;
        self.send("POST /families/fam/tables/kv_", &[], table).await.ok();
        self
    }

    pub(crate) async fn ledger(&self) -> Vec<Entry> {
        self.db.entries(Seq::ZERO, 100_000).await.unwrap()
    }

    pub(crate) async fn texts(&self) -> Vec<String> {
        self.ledger().await.into_iter().map(|entry| entry.statement).collect()
    }

    /// Stops it and waits for its end.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(60), self.task).await;
        ended.expect("the executive does not stop").unwrap().unwrap();
    }
}

/// A request that writes these rows of `kv_`, and then stores a cookie.
pub(crate) fn kv(rows: &[(i64, &str)], cookie: Option<&str>, check: Option<&str>) -> String {
    let rows = rows.iter().map(
        |(id, value)| serde_json::json!({"table": "kv_", "values": {"id": id, "value": value}}),
    );
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mutations: Vec<_> = rows.collect();
    serde_json::json!({
        "mutations": mutations,
        "cookie": cookie.map(encode),
        "check_cookie": check.map(encode),
    })
    .to_string()
}
