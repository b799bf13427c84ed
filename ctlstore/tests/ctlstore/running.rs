//! A folder of one test's own with `ctlstore dev` on it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::http::{Answer, Request};
use testkit::program::{Ended, Program};

/// The manifests and batches that the README shows.
pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/billing")
}

/// A copy of the example, to be edited, and what `ctlstore dev` keeps.
pub(crate) struct Folder {
    home: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self { home: tempfile::tempdir().unwrap() };
        std::fs::create_dir(folder.manifests()).unwrap();
        for file in ["family.yaml", "tables.yaml"] {
            std::fs::copy(example().join(file), folder.manifests().join(file)).unwrap();
        }
        folder
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.home.path().join("manifests")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub(crate) fn ldb(&self) -> PathBuf {
        self.data().join("ldb")
    }

    /// A file with ctldb's URL.
    pub(crate) fn url_file(&self) -> PathBuf {
        let file = self.home.path().join("url");
        let url = format!("sqlite:{}\n", self.data().join("ctldb.sqlite").display());
        std::fs::write(&file, url).unwrap();
        file
    }

    /// Replaces text in `tables.yaml`.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let file = self.manifests().join("tables.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "no {from:?} in {text}");
        std::fs::write(file, text.replacen(from, to, 1)).unwrap();
    }

    /// The arguments of `ctlstore dev`, on any free ports.
    pub(crate) fn dev_args(&self) -> Vec<String> {
        let (dir, manifests) = (self.data(), self.manifests());
        let any = "127.0.0.1:0";
        ["dev", "--dir", path(&dir), "--manifests", path(&manifests)]
            .into_iter()
            .chain(["--executive-bind", any, "--read-bind", any, "--heartbeat-interval", "0"])
            .map(str::to_owned)
            .collect()
    }

    /// Starts `ctlstore dev` and waits until the tables of the example are there.
    pub(crate) async fn start(&self) -> Dev {
        let mut program = Program::ctlstore(&self.dev_args()).unwrap();
        let executive = address(&mut program, "write API").await;
        let read = address(&mut program, "read API").await;
        let mut dev = Dev { program, executive, read };
        for object in ["CtlFamily billing", "CtlTable default/plans", "CtlTable default/quotas"] {
            dev.says(&format!("{object}: Ready=True")).await;
        }
        dev
    }

    /// Runs a command that reads the LDB.
    pub(crate) async fn read(&self, args: &[&str]) -> Ended {
        let ldb = self.ldb();
        Program::run(&[args, &["--ldb", path(&ldb)]].concat()).await.unwrap()
    }

    /// A row as JSON.
    pub(crate) async fn get(&self, table: &str, key: &[&str]) -> Value {
        let args = [&["get", "billing", table], key, &["--output", "json"]].concat();
        let ended = self.read(&args).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A running `ctlstore dev`.
pub(crate) struct Dev {
    pub(crate) program: Program,
    pub(crate) executive: SocketAddr,
    pub(crate) read: SocketAddr,
}

impl Dev {
    /// Waits for a line with these words.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let said = |line: &str| line.contains(words).then(|| line.to_owned());
        self.program.line(said).await.unwrap()
    }

    pub(crate) fn register(&self) {
        self.post("/writers/trial", b"a-secret").unwrap().ok().unwrap();
    }

    /// Writes a batch; returns the ledger sequence of its commit.
    pub(crate) fn write(&self, batch: &Value) -> anyhow::Result<u64> {
        let answer =
            self.post("/families/billing/mutations", batch.to_string().as_bytes())?.ok()?;
        Ok(answer.header("ctlstore-seq").unwrap().parse()?)
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let headers = [("ctlstore-writer", "trial"), ("ctlstore-secret", "a-secret")];
        Request { method: "POST", path, headers: &headers, body }.send(self.executive)
    }
}

/// The batch of the example.
pub(crate) fn batch() -> Value {
    let text = std::fs::read(example().join("batches/rows.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

async fn address(program: &mut Program, what: &str) -> SocketAddr {
    let address = |line: &str| {
        let rest = line.trim().strip_prefix(what)?;
        rest.trim().strip_prefix("http://")?.parse().ok()
    };
    program.line(address).await.unwrap()
}

/// A batch with one row of `plans`.
pub(crate) fn plan(id: &str, seats: i64) -> Value {
    let values =
        json!({"id": id, "name": id, "seats": seats, "price": null, "notes": null, "logo": null});
    json!({ "mutations": [{ "table": "plans", "values": values }] })
}
