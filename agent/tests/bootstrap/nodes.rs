//! Nodes that begin with snapshots, and where those come from.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use ::agent::Config;
use ::agent::args::SnapshotArgs;
use ::agent::snapshot::{Catalog, Frozen, Outcome, Rate, Upload};
use ::ledger::snapshot::{Manifest, Method};
use ::ledger::{CtlDbUrl, Position};
use serde_json::Value;
use store::Location;
use tempfile::TempDir;
use testkit::s3::{Proxy, S3Server};

use crate::agent::{Agent, SOON, config, request};
use crate::content;

/// Small, so that a small file has many.
const PIECE: u64 = 64 << 10;

static SERVER: LazyLock<S3Server> = LazyLock::new(|| S3Server::start().unwrap());

/// A store of snapshots.
pub(crate) struct Place {
    pub(crate) location: Location,
    /// Where its objects are files.
    pub(crate) folder: PathBuf,
    pub(crate) proxy: Option<Proxy>,
    _dir: TempDir,
}

impl Place {
    pub(crate) fn folder() -> Self {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("store");
        std::fs::create_dir(&folder).unwrap();
        let location = Location::File(folder.clone());
        Self { location, folder, proxy: None, _dir: dir }
    }

    /// A bucket, with a proxy before it that breaks what the test wants.
    pub(crate) fn bucket() -> Self {
        let proxy = Proxy::start(SERVER.addr()).unwrap();
        let bucket = SERVER.create_bucket().unwrap();
        let url = SERVER.url(&bucket, proxy.addr()).unwrap();
        let folder = SERVER.folder(&bucket).join("test");
        let (location, dir) = (Location::parse(&url).unwrap(), TempDir::new().unwrap());
        Self { location, folder, proxy: Some(proxy), _dir: dir }
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    /// An agent's flags: it begins with snapshots of this place and uploads none.
    pub(crate) fn config(&self, dir: &Path, ctldb: CtlDbUrl) -> Config {
        let mut config = config(dir, ctldb);
        config.snapshot = SnapshotArgs::never(self.location.clone());
        // All nodes of a test may load another LDB at once.
        config.bootstrap.rebuild_share = 100;
        config.bootstrap.bootstrap_jitter = Duration::ZERO;
        config
    }

    /// Runs a node until it has all of this ledger, and publishes its LDB.
    pub(crate) async fn publish(&self, ctldb: CtlDbUrl, seq: u64) -> Manifest {
        let dir = TempDir::new().unwrap();
        let agent = Agent::start(&dir.path().join("ldb"), ctldb).await;
        agent.reaches(seq).await;
        let (file, ldb) = (dir.path().join("copy.db"), agent.dir.clone());
        agent.stop().await;
        self.publish_copy(&ldb, &file).await
    }

    /// Publishes the LDB of this directory as it stands.
    pub(crate) async fn publish_copy(&self, ldb: &Path, file: &Path) -> Manifest {
        let position = copy(ldb, file);
        let catalog = Catalog::new(store::open(&self.plain()), position.history);
        let upload = Upload { piece_bytes: PIECE, rate: Rate { bytes_per_second: None } };
        let frozen = Frozen { path: file.to_owned(), position, method: Method::Copy };
        match upload.publish(&catalog, &frozen).await.unwrap().outcome {
            Outcome::Newest(manifest) => *manifest,
            superseded @ Outcome::Superseded(_) => panic!("{superseded:?}"),
        }
    }

    /// Around the proxy.
    fn plain(&self) -> Location {
        match &self.location {
            Location::S3(at) if self.proxy.is_some() => {
                let mut at = at.clone();
                at.endpoint = Some(format!("http://{}", SERVER.addr()).parse().unwrap());
                Location::S3(at)
            }
            other => other.clone(),
        }
    }

    /// The files of this place whose names end like this.
    pub(crate) fn files(&self, end: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.folder, &mut |path| {
            if path.to_str().unwrap().ends_with(end) {
                found.push(path.to_owned());
            }
        });
        found.sort();
        found
    }
}

fn walk(dir: &Path, each: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, each);
        } else {
            each(&path);
        }
    }
}

/// Copies an LDB as it stands into one file; its position.
pub(crate) fn copy(ldb: &Path, file: &Path) -> Position {
    let open = content::open(ldb);
    open.execute("VACUUM INTO ?1", [file.to_str().unwrap()]).unwrap();
    let copied = rusqlite::Connection::open(file).unwrap();
    reader::meta::position(&copied).unwrap().unwrap()
}

impl Agent {
    /// Until the bootstrap is at this; what it tells.
    pub(crate) async fn bootstraps(&self, phase: &str) -> Value {
        let result = testkit::eventually(SOON * 2, async || {
            let status = self.status().await;
            let told = status["bootstrap"].clone();
            anyhow::ensure!(told["phase"] == phase, "not {phase}: {status}");
            Ok(told)
        });
        result.await.unwrap()
    }

    /// Until it says why; the whole message.
    pub(crate) async fn says(&self, what: &str) -> String {
        let result = testkit::eventually(SOON * 2, async || {
            let status = self.status().await;
            let text = status["bootstrap"]["message"].as_str().unwrap_or_default().to_owned();
            anyhow::ensure!(text.contains(what), "does not say {what}: {status}");
            Ok(text)
        });
        result.await.unwrap()
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.readyz().await.0 == 200
    }

    pub(crate) async fn readyz(&self) -> (u16, String) {
        let answer = request(self.admin, "GET", "/readyz", "").await;
        (answer.status, answer.body)
    }

    /// For a while, this holds.
    pub(crate) async fn stays(&self, time: Duration, holds: impl Fn(&Value) -> bool) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            let status = self.status().await;
            assert!(holds(&status), "{status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
