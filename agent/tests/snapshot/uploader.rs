//! Agents in processes of their own that upload snapshots, and a ledger for them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use agent::Config;
use agent::args::{SnapshotArgs, Uploader as Who};
use ledger::CtlDbUrl;
use ledger::snapshot::Retention;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use store::Location;
use tokio_util::sync::CancellationToken;

use crate::http::request;
use crate::ledger_file::{Ledger, frame};

const CHILD: &str = "SNAPSHOT_TEST_UPLOADER";
/// Every wait for something that comes by itself.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What the child is told, in one variable.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Plan {
    pub(crate) ldb_dir: PathBuf,
    pub(crate) ctldb: PathBuf,
    pub(crate) url: String,
    pub(crate) interval_ms: u64,
    pub(crate) min_entries: u64,
    pub(crate) rate_limit: Option<u64>,
    pub(crate) compat: Option<String>,
    /// kubeconfig, namespace, node: stands for election, with a Lease of so many seconds.
    pub(crate) elected: Option<(PathBuf, String, String, u64)>,
}

impl Plan {
    /// Looks every tenth of a second.
    pub(crate) fn new(ldb_dir: &Path, ledger: &Ledger, url: &str) -> Self {
        Self {
            ldb_dir: ldb_dir.to_owned(),
            ctldb: ledger.path.clone(),
            url: url.to_owned(),
            interval_ms: 100,
            min_entries: 1,
            rate_limit: None,
            compat: None,
            elected: None,
        }
    }

    pub(crate) fn config(self) -> Config {
        let mut config = Config::new(self.ldb_dir, CtlDbUrl::Sqlite(self.ctldb));
        let any = Some("127.0.0.1:0".parse().unwrap());
        (config.read_bind, config.admin_bind) = (any, any);
        config.poll_interval = Duration::from_millis(20);
        config.snapshot = SnapshotArgs::always(Location::parse(&self.url).unwrap());
        let taking = &mut config.snapshot.taking;
        taking.snapshot_interval = Duration::from_millis(self.interval_ms);
        taking.snapshot_min_entries = self.min_entries;
        taking.snapshot_rate_limit = self.rate_limit;
        taking.snapshot_compat = self.compat.map(|url| Location::parse(&url).unwrap());
        taking.snapshot_keep = Retention { count: 2, age: Duration::from_secs(1) };
        if let Some((kubeconfig, namespace, node, lease)) = self.elected {
            config.snapshot.snapshot_upload = Who::Elected;
            config.snapshot.snapshot_lease = Duration::from_secs(lease);
            config.presence.kubeconfig = Some(kubeconfig);
            config.presence.pod_namespace = Some(namespace);
            config.presence.node_name = Some(node);
        }
        config
    }
}

/// A running agent. Dropping it kills it.
pub(crate) struct Uploader {
    child: Child,
    /// Open, for what the test's harness says after a minute.
    _stdout: BufReader<ChildStdout>,
    read: SocketAddr,
    admin: SocketAddr,
}

impl Uploader {
    /// Runs this test program again, as an agent of this plan.
    pub(crate) fn start(plan: &Plan) -> Self {
        // By this name it is there even after another build took its place.
        let mut child = Command::new("/proc/self/exe")
            .args(["--exact", "uploader::an_agent_in_a_process_of_its_own", "--nocapture"])
            .env(CHILD, serde_json::to_string(plan).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let said = stdout.by_ref().lines().map(Result::unwrap).find_map(|line| {
            let (_, addresses) = line.split_once("STARTED ")?;
            let (read, admin) = addresses.split_once(' ')?;
            Some((read.parse().unwrap(), admin.parse().unwrap()))
        });
        let Some((read, admin)) = said else {
            panic!("the agent ended: {:?}", child.wait());
        };
        Self { child, _stdout: stdout, read, admin }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Its part of `/v1/status` about snapshots.
    pub(crate) async fn status(&self) -> Value {
        let answer = request(self.read, "/v1/status").await;
        serde_json::from_str::<Value>(&answer).unwrap()["snapshot"].clone()
    }

    pub(crate) async fn metrics(&self) -> String {
        request(self.admin, "/metrics").await
    }

    /// Until the last attempt became this; its message.
    pub(crate) async fn ends(&self, outcome: &str) -> String {
        let result = testkit::eventually(SOON, async || {
            let status = self.status().await;
            anyhow::ensure!(status["outcome"] == outcome, "not {outcome}: {status}");
            Ok(status["message"].as_str().unwrap_or_default().to_owned())
        });
        result.await.unwrap()
    }

    /// Until the newest snapshot is at this sequence, or beyond.
    pub(crate) async fn publishes(&self, seq: u64) {
        let result = testkit::eventually(SOON, async || {
            let status = self.status().await;
            let at = status["position"]["seq"].as_u64().unwrap_or(0);
            anyhow::ensure!(at >= seq, "the newest is not at {seq}: {status}");
            Ok(())
        });
        result.await.unwrap();
    }

    /// The most memory that it had at once, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.proc_status("VmHWM:")
    }

    pub(crate) fn resident_kib(&self) -> u64 {
        self.proc_status("VmRSS:")
    }

    fn proc_status(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// As a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Not a test by itself: what [`Uploader::start`] runs.
#[expect(clippy::disallowed_methods, reason = "how the test told this process what to do")]
#[test]
fn an_agent_in_a_process_of_its_own() {
    let Ok(plan) = std::env::var(CHILD) else { return };
    let plan: Plan = serde_json::from_str(&plan).unwrap();
    // It ends with the tests, however they end.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    if std::env::var_os("SNAPSHOT_TEST_LOG").is_some() {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    }
    // As `ctlstore agent` has it.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let started = |started: agent::Started| {
        println!("STARTED {} {}", started.read_addr.unwrap(), started.admin_addr.unwrap());
    };
    runtime.block_on(agent::run::run(plan.config(), CancellationToken::new(), started)).unwrap();
}

/// A table of rows with a body, in the order of their key.
pub(crate) const WIDE: &str =
    "CREATE TABLE fam___tbl (\"id\" INTEGER, \"body\" BLOB, PRIMARY KEY(\"id\"));";

/// Rows of so many random bytes each, in one transaction of the ledger.
pub(crate) fn rows(ids: std::ops::Range<u64>, bytes: usize) -> Vec<String> {
    frame(ids.map(|id| {
        let mut body = String::with_capacity(bytes * 2);
        for _ in 0..bytes.div_ceil(8) {
            body.push_str(&format!("{:016x}", rand::random::<u64>()));
        }
        body.truncate(bytes * 2);
        format!("REPLACE INTO fam___tbl (\"id\",\"body\") VALUES({id},x'{body}')")
    }))
}

/// A ledger with so many MiB in random rows of a kilobyte.
pub(crate) fn filled(dir: &Path, mib: u64) -> Ledger {
    let mut ledger = Ledger::new(dir);
    ledger.append(&[WIDE]);
    for part in 0..mib {
        ledger.append(&rows(part * 1024..(part + 1) * 1024, 1000));
    }
    ledger
}
