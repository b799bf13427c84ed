//! One node: an agent as a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::eventually;
use serde_json::Value;
use tempfile::TempDir;
use testkit::http::{Answer, Request};
use testkit::program::{Program, ctlstore};

use crate::books::Books;
use crate::story::Story;

/// What comes about within this, on a busy machine, too.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// An agent that polls often, and where it is asked.
pub(crate) struct Node {
    _program: Program,
    read: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    _home: TempDir,
}

impl Node {
    /// Follows these books in `ldb`, with more flags, and with more of an environment.
    pub(crate) async fn start(
        books: &Books,
        ldb: Option<&Path>,
        flags: &[&str],
        environment: &[(&str, &Path)],
    ) -> Result<Self> {
        let home = TempDir::with_prefix("ctlstore-truth-").context("make a folder")?;
        let url = home.path().join("url");
        fs::write(&url, &books.database.url).context("write the URL")?;
        let ldb = ldb.map_or_else(|| home.path().join("ldb"), Path::to_owned);
        let mut command = Command::new("env");
        for (name, value) in environment {
            command.arg(format!("{name}={}", value.display()));
        }
        command.arg(ctlstore()?).arg("agent").arg("--ldb-dir").arg(&ldb);
        command.arg("--ctldb-url-file").arg(&url).args(flags);
        command.args(["--poll-interval", "100ms", "--log-format", "json"]);
        command.args(["--read-bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0"]);
        let mut program = Program::start("agent", &command)?;
        let started = program
            .line(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (line["message"] == "agent started").then_some(line)
            })
            .await?;
        let addr = |field: &str| started[field].as_str().and_then(|text| text.parse().ok());
        let read = addr("read").context("it does not say where it serves reads")?;
        let admin = addr("admin").context("it does not say where its admin port is")?;
        Ok(Self { _program: program, read, admin, _home: home })
    }

    /// Asks its read API.
    pub(crate) fn read(&self, path: &str) -> Result<Answer> {
        Request { method: "GET", path, headers: &[], body: b"" }.send(self.read)
    }

    /// Where it serves reads.
    pub(crate) fn read_addr(&self) -> std::net::SocketAddr {
        self.read
    }

    /// Asks its admin port.
    pub(crate) fn admin(&self, path: &str) -> Result<Answer> {
        Request { method: "GET", path, headers: &[], body: b"" }.send(self.admin)
    }

    /// What `ctlstore status --url` prints of it.
    pub(crate) async fn command(&self) -> Result<Value> {
        let url = format!("http://{}", self.read);
        let ended = Program::run(&["status", "--url", &url, "--output", "json"]).await?;
        ensure!(ended.code() == Some(0), "{ended:?}");
        Ok(serde_json::from_str(&ended.stdout)?)
    }

    /// Until it tells one story, of which this holds. While it changes from one state to another, the parts of a story are
    /// of different moments; a lie stays.
    pub(crate) async fn tells(&self, holds: impl Fn(&Story) -> bool) -> Result<Story> {
        eventually(SOON, async || {
            let story = Story::of(self).await?;
            ensure!(holds(&story), "not yet: {story:#?}");
            Ok(story)
        })
        .await
    }
}

/// The page that lists all metrics.
pub(crate) fn metrics_page() -> Result<String> {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    fs::read_to_string(page).context("read docs/metrics.md")
}
