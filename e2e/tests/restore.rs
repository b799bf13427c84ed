//! MariaDB is put back to an earlier state while nodes are ahead of it. Nothing is written until somebody decides; then each
//! node that is not ahead follows the new history, each that is says that it is forked and loads a snapshot of the new
//! history when there is one; a new node never gets what was lost, and no reader sees the sequence fall.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::mariadb::{Database, MariaDb};
use e2e::{Service, eventually};
use ledger::Value as LdbValue;
use nix::sys::signal::Signal;
use reader::Ldb;
use serde_json::{Value, json};
use testkit::http::{Answer, Request};
use testkit::program::Program;

const SOON: Duration = Duration::from_secs(60);
const ANY: &str = "127.0.0.1:0";

/// ctldb, and the executive in front of it.
struct Cluster {
    mariadb: MariaDb,
    database: Database,
    executive: Service,
    home: tempfile::TempDir,
}

/// An agent, and a reader of its LDB that watches the sequence.
struct Node {
    name: &'static str,
    dir: PathBuf,
    agent: Service,
}

/// A reader that never wants to see the sequence fall.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_every_node_converges() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.declare()?;
    let [mut early, slow, ahead, far] = cluster.nodes().await?;
    for row in 0..10 {
        cluster.write(row, "kept")?;
    }
    let old = cluster.head()?;
    let watches = [&early, &slow, &ahead, &far].map(|node| (node.name, node.watch(old)));
    early.follows(old).await?;
    early.agent.program.signal(Signal::SIGTERM)?;
    early.agent.program.end(SOON).await?;
    let kept = (10..20).map(|row| cluster.write(row, "kept")).last().context("rows")??;
    for node in [&slow, &ahead, &far] {
        node.follows(kept).await?;
    }
    let backup = cluster.mariadb.copy_database(&cluster.database)?;
    slow.agent.program.signal(Signal::SIGSTOP)?;
    let lost = (10..30).map(|row| cluster.write(row, "lost")).last().context("rows")??;
    for node in [&ahead, &far] {
        node.follows(lost).await?;
    }
    let stale = ahead.rows()?;
    assert_eq!(stale, cluster.rows()?);

    cluster.restore(backup).await?;
    slow.agent.program.signal(Signal::SIGCONT)?;
    for node in [&ahead, &far] {
        node.enters("ctldb_behind").await?;
    }
    let new = cluster.new_history(lost).await?;
    assert!(new > lost, "{new} is not above {lost}");
    let last = (40..50).map(|row| cluster.write(row, "new")).last().context("rows")??;
    early.agent = agent(&cluster, &early.dir, "never").await?;
    for node in [&early, &slow] {
        node.follows(last).await?;
        assert_eq!(node.rows()?, cluster.rows()?, "{}", node.name);
        node.enters("following").await?;
    }
    for node in [&ahead, &far] {
        let message = node.enters("forked").await?;
        assert!(message.contains(&format!("applied here up to {lost}")), "{message}");
        assert_eq!(node.rows()?, stale, "{} serves what it had", node.name);
    }
    // A new node takes what the ledger has, and uploads it.
    let dir = cluster.home.path().join("fresh");
    let fresh = Node { name: "fresh", agent: agent(&cluster, &dir, "always").await?, dir };
    for node in [&fresh, &ahead, &far] {
        node.follows(last).await?;
        node.enters("following").await?;
        assert_eq!(node.rows()?, cluster.rows()?, "{}", node.name);
    }
    let new = cluster.write(60, "newest")?;
    for node in [&fresh, &early, &slow, &ahead, &far] {
        node.follows(new).await?;
    }
    for (name, watch) in watches {
        let looks = watch.end().with_context(|| name)?;
        assert!(looks > 100, "{name} was looked at {looks} times");
    }
    Ok(())
}

impl Cluster {
    async fn start() -> Result<Self> {
        let mariadb = MariaDb::start()?;
        let database = mariadb.create_database()?;
        let home = tempfile::tempdir()?;
        let path = |name: &str| home.path().join(name).display().to_string();
        std::fs::write(path("ctldb"), &database.url)?;
        std::fs::create_dir(path("store"))?;
        let (url, fleet) = (path("ctldb"), path("fleet"));
        let args = ["executive", "--ctldb-url-file", &url, "--fleet-position-file", &fleet];
        let more = ["--open-admin", "--bind", ANY, "--admin-bind", ANY];
        let executive = Service::start(&[&args[..], &more].concat()).await?;
        let cluster = Self { mariadb, database, executive, home };
        let ready = eventually(SOON, async || cluster.executive.ask("/readyz")?.ok());
        ready.await?;
        Ok(cluster)
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    async fn nodes(&self) -> Result<[Node; 4]> {
        let node = async |name| {
            let dir = self.home.path().join(name);
            anyhow::Ok(Node { name, agent: agent(self, &dir, "never").await?, dir })
        };
        Ok([node("early").await?, node("slow").await?, node("ahead").await?, node("far").await?])
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let headers = [("ctlstore-writer", "e2e"), ("ctlstore-secret", "restore-secret")];
        Request { method, path, headers: &headers, body: body.as_bytes() }
            .send(self.executive.api()?)
    }

    fn declare(&self) -> Result<()> {
        self.ask("POST", "/writers/e2e", "restore-secret")?.ok()?;
        self.ask("POST", "/families/fam", "")?.ok()?;
        let table = r#"{"fields":[["id","integer"],["value","string"]],"keyFields":["id"]}"#;
        self.ask("POST", "/families/fam/tables/rows", table)?.ok().map(drop)
    }

    fn try_write(&self, row: i64, value: &str) -> Result<Answer> {
        let values = json!({ "id": row, "value": value });
        let batch = json!({ "mutations": [{ "table": "rows", "values": values }] });
        self.ask("POST", "/families/fam/mutations", &batch.to_string())
    }

    /// Writes a row, and says where the fleet will be; returns its sequence.
    fn write(&self, row: i64, value: &str) -> Result<u64> {
        let answer = self.try_write(row, value)?.ok()?;
        let position = answer.header("ctlstore-position").context("it names no position")?;
        // Whole at any moment.
        std::fs::write(self.path("fleet.new"), position)?;
        std::fs::rename(self.path("fleet.new"), self.path("fleet"))?;
        Ok(answer.header("ctlstore-seq").context("it names no sequence")?.parse()?)
    }

    fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.ask("GET", "/v1/status", "")?.ok()?.text())?)
    }

    fn head(&self) -> Result<u64> {
        self.status()?["seq"].as_u64().context("it has a head")
    }

    fn rows(&self) -> Result<Vec<String>> {
        let sql = format!("SELECT id, value FROM {}.fam___rows ORDER BY id", self.database.name);
        Ok(self.mariadb.sql(&sql)?.lines().map(str::to_owned).collect())
    }

    /// Puts the database back, and waits until the executive has seen it.
    async fn restore(&self, backup: Database) -> Result<()> {
        self.mariadb.restore_database(&self.database, backup)?;
        let held = eventually(SOON, async || {
            let hold = self.status()?["hold"].clone();
            ensure!(hold.is_string(), "{hold}");
            Ok(())
        });
        held.await?;
        let before = self.head()?;
        let refused = self.try_write(99, "too early")?;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.text().contains("ctlstore ctldb new-history"), "{}", refused.text());
        assert_eq!(self.head()?, before);
        Ok(())
    }

    /// An operator decides; returns the sequence of the first write after that.
    async fn new_history(&self, above: u64) -> Result<u64> {
        let (above, url) = (above.to_string(), self.path("ctldb"));
        let args = ["ctldb", "new-history", "--above", &above, "--reason", "restored"];
        let ended = Program::run(&[&args[..], &["--ctldb-url-file", &url]].concat()).await?;
        ensure!(ended.code() == Some(0), "{ended:?}");
        eventually(SOON, async || self.write(40, "new")).await
    }
}

async fn agent(cluster: &Cluster, dir: &std::path::Path, upload: &str) -> Result<Service> {
    let (url, ldb) = (cluster.path("ctldb"), dir.display().to_string());
    let args = ["agent", "--ctldb-url-file", &url, "--ldb-dir", &ldb, "--poll-interval", "50ms"];
    let store = format!("--snapshot-url=file://{}", cluster.path("store"));
    let upload = format!("--snapshot-upload={upload}");
    let snapshots = [&*store, &*upload, "--snapshot-interval=1s", "--rebuild-share=100"];
    let binds = ["--read-bind", ANY, "--admin-bind", ANY];
    Service::start(&[&args[..], &snapshots, &binds].concat()).await
}

impl Node {
    /// Until all up to this sequence is applied.
    async fn follows(&self, seq: u64) -> Result<()> {
        let follows = eventually(SOON, async || {
            let have = Ldb::open(&self.dir)?.seq()?.get();
            ensure!(have >= seq, "{} is at {have}, not at {seq}", self.name);
            Ok(())
        });
        follows.await
    }

    /// Until the agent tells this state; its message.
    async fn enters(&self, state: &str) -> Result<String> {
        let enters = eventually(SOON, async || {
            let request = Request { method: "GET", path: "/v1/status", headers: &[], body: b"" };
            let status: Value =
                serde_json::from_str(&request.send(self.agent.api()?)?.ok()?.text())?;
            ensure!(status["state"] == state, "{} is not {state}: {status}", self.name);
            Ok(status["message"].as_str().unwrap_or_default().to_owned())
        });
        enters.await
    }

    fn rows(&self) -> Result<Vec<String>> {
        let rows = Ldb::open(&self.dir)?.family("fam")?.all("rows")?;
        let line = |row: &reader::Row| match (row.get("id"), row.get("value")) {
            (Some(LdbValue::Integer(id)), Some(LdbValue::Text(value))) => format!("{id}\t{value}"),
            other => panic!("{other:?} is no row"),
        };
        Ok(rows.iter().map(line).collect())
    }

    /// Begins when the node has something, and looks on whatever becomes of its agent.
    fn watch(&self, first: u64) -> Watch {
        let (dir, over) = (self.dir.clone(), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&over);
        let look = move || {
            let mut ldb = None;
            let (mut looks, mut highest) = (0, 0);
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
                let ldb = match &mut ldb {
                    Some(ldb) => ldb,
                    none => none.insert(Ldb::open(&dir)?),
                };
                let seq = ldb.seq()?.get();
                ensure!(seq >= highest, "the sequence fell from {highest} to {seq}");
                (looks, highest) = (looks + 1, seq);
            }
            ensure!(highest >= first, "it ended at {highest}");
            Ok(looks)
        };
        Watch { over, thread: std::thread::spawn(look) }
    }
}

impl Watch {
    /// How often it looked.
    fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("a reader panicked")
    }
}
