//! An executive of one test's own, and commands that speak to it.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ctldb::CtlDb;
use ledger::{CtlDbUrl, Seq};
use testkit::eventually;
use testkit::http::Request;
use testkit::program::{self, Ended, Program};

use crate::running::path;

/// An executive, with the files around it.
pub(crate) struct Executive {
    pub(crate) home: tempfile::TempDir,
    pub(crate) program: Program,
    /// How to reach it, as commands are told.
    pub(crate) url: String,
    ctldb: String,
}

impl Executive {
    /// On a SQLite file, open to every admin.
    pub(crate) async fn open(more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let ctldb = format!("sqlite:{}", home.path().join("ctldb.sqlite").display());
        Self::start(home, &ctldb, &[&["--open-admin"], more].concat()).await
    }

    /// On this ctldb, with these flags.
    pub(crate) async fn start(home: tempfile::TempDir, ctldb: &str, flags: &[&str]) -> Self {
        let file = home.path().join("url");
        std::fs::write(&file, ctldb).unwrap();
        std::fs::write(home.path().join("secret"), "a-secret\n").unwrap();
        let own = ["executive", "--log-format", "json", "--ctldb-url-file", path(&file)];
        let any = ["--bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0"];
        let mut program = Program::ctlstore(&[&own[..], &any, flags].concat()).unwrap();
        let address = |line: &str| {
            let (_, rest) = line.split_once("\"api\":\"")?;
            rest.split('"').next().map(str::to_owned)
        };
        let address = program.line(address).await.unwrap();
        let scheme = if flags.contains(&"--tls-cert-file") { "https" } else { "http" };
        let url = format!("{scheme}://{}", address.replace("127.0.0.1", "localhost"));
        let executive = Self { home, program, url, ctldb: ctldb.to_owned() };
        if scheme == "http" {
            executive.healthy().await;
        }
        executive
    }

    /// It has made its ctldb, and serves.
    async fn healthy(&self) {
        let path = "/healthcheck";
        eventually(Duration::from_secs(30), async || {
            Request { method: "GET", path, headers: &[], body: b"" }.send(self.addr())?.ok()
        })
        .await
        .unwrap();
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        let port = self.url.rsplit(':').next().unwrap().parse().unwrap();
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.home.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Runs a command against it.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        Program::run(&[args, &["--url", &self.url]].concat()).await.unwrap()
    }

    /// Runs a command that must go well; what it printed.
    pub(crate) async fn done(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.code(), Some(0), "{args:?}: {ended:?}");
        ended.stdout
    }

    /// A family `billing` with a table `plans`, and a writer.
    pub(crate) async fn prepared(self) -> Self {
        self.done(&["family", "create", "billing"]).await;
        let fields = ["--field", "id:string", "--field", "seats:integer", "--key-field", "id"];
        self.done(&[&["table", "create", "billing", "plans"], &fields[..]].concat()).await;
        let secret = self.home.path().join("secret");
        self.done(&["writer", "register", "importer", "--secret-file", path(&secret)]).await;
        self
    }

    /// The arguments of `ctlstore mutate` on a file, or on `-`.
    pub(crate) fn mutate(&self, file: &Path) -> Vec<String> {
        let secret = self.home.path().join("secret");
        ["mutate", "billing", path(file), "--writer", "importer", "--url", &self.url]
            .into_iter()
            .chain(["--secret-file", path(&secret)])
            .map(str::to_owned)
            .collect()
    }

    /// Runs `ctlstore mutate` to its end.
    pub(crate) async fn mutated(&self, file: &Path, more: &[&str]) -> Ended {
        let args = self.mutate(file);
        let args = args.iter().map(String::as_str).chain(more.iter().copied());
        Program::run(&args.collect::<Vec<_>>()).await.unwrap()
    }

    /// Runs `ctlstore mutate` on this as standard input.
    pub(crate) fn piped(&self, text: &str, more: &[&str]) -> std::process::Output {
        let mut child = Command::new(program::ctlstore().unwrap())
            .args(self.mutate(Path::new("-")))
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // What it does not want to read is not written.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The statements of the ledger that write rows of `plans`, in their order.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let ctldb = CtlDb::open(CtlDbUrl::parse(&self.ctldb).unwrap()).unwrap();
        let entries = ctldb.entries(Seq::ZERO, 100_000).await.unwrap();
        let rows = entries.into_iter().map(|entry| entry.statement);
        let values = |row: String| {
            let values =
                row.strip_prefix("REPLACE INTO billing___plans (\"id\",\"seats\") VALUES(");
            values.map(|values| values.trim_end_matches(')').to_owned())
        };
        rows.filter_map(values).collect()
    }
}

/// A line that writes a row.
pub(crate) fn line(id: impl std::fmt::Display, seats: i64) -> String {
    let values = serde_json::json!({ "id": id.to_string(), "seats": seats });
    serde_json::json!({ "table": "plans", "values": values }).to_string() + "\n"
}

/// The row as the ledger has it.
pub(crate) fn row(id: impl std::fmt::Display, seats: i64) -> String {
    format!("'{id}',{seats}")
}
