//! Everything that the process logs, down to the finest level, and the promise that no secret is in it.

use std::io;
use std::sync::{Mutex, Once};

use executive::AdminAccess;
use tracing_subscriber::fmt::MakeWriter;

use crate::server::{AS_WRITER, Backend, SECRET, Server, kv};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Sink;

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // To see why a test fails.
        if std::env::var_os("EXECUTIVE_TEST_LOG").is_some() {
            io::stderr().write_all(bytes)?;
        }
        LOG.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Sink {
    type Writer = Sink;
    fn make_writer(&self) -> Sink {
        Sink
    }
}

/// Keeps what the tests of this process log.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(Sink)
            .init();
    });
}

pub(crate) fn logged() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

const TOKEN: &str = "token-that-nobody-may-see";
const WRONG: &str = "wrong-secret-that-nobody-may-see";

async fn drive(backend: Backend) {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, format!("alice:{TOKEN}\n")).unwrap();
    let server =
        Server::start_with(backend, |config| config.admin = AdminAccess::TokenFile(tokens)).await;
    let bearer = format!("Bearer {TOKEN}");
    let admin = [("authorization", bearer.as_str())];
    server.send("POST /writers/writer1", &admin, SECRET).await.ok();
    server.send("POST /writers/writer1", &admin, WRONG).await;
    server.send("POST /writers/writer2", &admin, format!("{WRONG}\n")).await;
    server.send("POST /families/fam", &admin, "").await.ok();
    let table = r#"{"fields":[["id","integer"],["value","string"]],"keyFields":["id"]}"#;
    server.send("POST /families/fam/tables/kv_", &admin, table).await.ok();
    server
        .send("GET /schema/family/fam", &[("authorization", "Bearer wrong-token-unseen")], "")
        .await;
    server.mutate("fam", kv(&[(1, "value-that-is-nobodys-business")], Some("c"), None)).await.ok();
    server.mutate("fam", "{").await;
    let wrong = [("ctlstore-writer", "writer1"), ("ctlstore-secret", WRONG)];
    server.send("POST /families/fam/mutations", &wrong, kv(&[(1, "x")], None, None)).await;
    server.send("GET /cookie", &AS_WRITER, "").await.ok();
    server.send("GET /cookie", &wrong, "").await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_ever_logged() {
    for backend in Backend::ALL {
        drive(backend).await;
    }
    let log = logged();
    assert!(
        log.contains("request refused") && log.contains("ctldb is ready"),
        "nothing was captured"
    );
    for secret in [SECRET, TOKEN, WRONG, "wrong-token-unseen"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}
