//! An agent within the test's process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::agent::{Config, Started};
use ::ledger::{CtlDbUrl, Seq};
use reader::Ldb;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Agent {
    pub(crate) dir: PathBuf,
    pub(crate) read: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

pub(crate) fn config(dir: &Path, ctldb: CtlDbUrl) -> Config {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let mut config = Config::new(dir.to_owned(), ctldb);
    (config.read_bind, config.admin_bind) = (any, any);
    config.poll_interval = Duration::from_millis(20);
    config
}

impl Agent {
    pub(crate) async fn start(dir: &Path, ctldb: CtlDbUrl) -> Self {
        Self::start_with(config(dir, ctldb)).await.unwrap()
    }

    pub(crate) async fn start_with(config: Config) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (told, tells) = tokio::sync::oneshot::channel();
        let run = ::agent::run::run(config, stop.clone(), |started| told.send(started).unwrap());
        let task = tokio::spawn(run);
        match tells.await {
            Ok(Started { read_addr, admin_addr, ldb_dir: dir }) => {
                Ok(Self { dir, read: read_addr.unwrap(), admin: admin_addr.unwrap(), stop, task })
            }
            Err(_) => Err(task.await.unwrap().unwrap_err()),
        }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }

    pub(crate) fn ldb(&self) -> Ldb {
        Ldb::open(&self.dir).unwrap()
    }

    /// Until everything up to this sequence is applied.
    pub(crate) async fn reaches(&self, seq: u64) {
        let ldb = self.ldb();
        let result = testkit::eventually(SOON, async || {
            let have = ldb.seq()?.get();
            anyhow::ensure!(
                have >= seq,
                "the LDB is at {have}, not at {seq}: {}",
                self.status().await
            );
            Ok(())
        });
        result.await.unwrap();
    }

    /// Until it tells this state; its message.
    pub(crate) async fn enters(&self, state: &str) -> String {
        let result = testkit::eventually(SOON, async || {
            let status = self.status().await;
            anyhow::ensure!(status["state"] == state, "not {state}: {status}");
            Ok(status["message"].as_str().unwrap_or_default().to_owned())
        });
        result.await.unwrap()
    }

    pub(crate) async fn status(&self) -> Value {
        let answer = request(self.read, "GET", "/v1/status", "").await;
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) fn seq(&self) -> Seq {
        self.ldb().seq().unwrap()
    }

    /// Time for several looks at the ledger.
    pub(crate) async fn looks_on(&self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) async fn request(addr: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if chunked { joined(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

/// The chunks of a body as one.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n").expect("a chunk has a size");
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body += &rest[..size];
        chunks = rest[size..].strip_prefix("\r\n").expect("a chunk has an end");
    }
}
