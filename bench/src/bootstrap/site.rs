//! A ledger, an LDB of the size that is wanted, a bucket of a real S3 server with its snapshot, and agents on them.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use ledger::snapshot::{Manifest, Object, pieces};
use reader::layout;
use rusqlite::{Connection, params};
use store::{Catalog, Location, Pointer};
use tempfile::TempDir;
use testkit::s3::S3Server;
use tokio::runtime::Runtime;

use crate::fixture::Writes;
use crate::process::binary;

/// Entries that the LDB has, and those that are added while it is snapshot.
const BEFORE: u64 = 100;
const AFTER: u64 = 90_000;
/// As many as the agent gets at once.
const PARALLEL: usize = 4;
const PATIENCE: Duration = Duration::from_secs(300);
/// Rows like small documents, half of which is hexadecimal noise.
const FILL: &str = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
    INSERT INTO bench___strings (id, title, amount, rate) SELECT printf('bulk-%012d', i),
    printf('{\"tenant\":%d,\"enabled\":true,\"token\":\"%s\",\"limits\":{\"requests\":%d,\"burst\":%d}}',
    i, lower(hex(randomblob(100))), i % 1000, i % 77), i, i / 3.0 FROM n";
const ROWS: i64 = 20_000;

/// Who uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upload {
    Always,
    Never,
}

/// What an agent took.
pub(crate) struct Took {
    pub(crate) seconds: f64,
    pub(crate) peak_mib: f64,
}

pub(crate) struct Site {
    runtime: Runtime,
    server: S3Server,
    bucket: String,
    folder: TempDir,
    manifest: Manifest,
    /// The last entry of the whole ledger.
    head: u64,
    /// Places in the bucket that were used.
    rounds: Cell<u32>,
}

impl Site {
    pub(crate) fn new(dir: Option<&Path>, megabytes: u64) -> Result<Self> {
        let runtime = Runtime::new()?;
        let folder = match dir {
            Some(dir) => tempfile::tempdir_in(dir)?,
            None => tempfile::tempdir()?,
        };
        let full = folder.path().join("full.sqlite");
        let head = runtime.block_on(async {
            let mut writes = Writes::new(&full, BEFORE).await?;
            let open = Connection::open(&full)?;
            open.execute("VACUUM INTO ?1", [folder.path().join("base.sqlite").to_str()])?;
            let mut seq = 0;
            while seq < AFTER {
                seq = writes.write(5).await?.seq.get();
            }
            anyhow::Ok(seq)
        })?;
        let server = S3Server::start()?;
        let bucket = server.create_bucket()?;
        let place = server.url(&bucket, server.addr())?;
        fill(folder.path(), megabytes)?;
        let uploader = Agent::start(
            &folder.path().join("ldb"),
            &folder.path().join("base.sqlite"),
            &place,
            Upload::Always,
        )?;
        let manifest = uploader.published(&runtime, &place)?;
        drop(uploader);
        Ok(Self { runtime, server, bucket, folder, manifest, head, rounds: Cell::new(0) })
    }

    pub(crate) fn parts(&self) -> usize {
        self.manifest.parts().count()
    }

    pub(crate) fn stored_bytes(&self) -> u64 {
        self.manifest.parts().map(|part| part.stored_bytes).sum()
    }

    /// An agent on an empty directory, until it has what the snapshot has.
    pub(crate) fn begin(&self) -> Result<Took> {
        let target = self.target()?;
        settle()?;
        let start = Instant::now();
        let agent =
            Agent::start(&target.path().join("ldb"), &self.base(), &self.place()?, Upload::Never)?;
        agent.reaches(self.manifest.position.seq.get())?;
        Ok(Took { seconds: start.elapsed().as_secs_f64(), peak_mib: agent.peak_mib()? })
    }

    /// What anybody would do by hand.
    pub(crate) fn plain_download(&self) -> Result<TempDir> {
        let target = self.target()?;
        let catalog = self.catalog(&self.place()?)?;
        let whole = self.manifest.whole_file()?;
        let file = Arc::new(File::create(target.path().join("ldb.db"))?);
        let places = pieces(whole.bytes, whole.piece_bytes).map(|(offset, _)| offset);
        let parts: Vec<_> = places.zip(whole.parts.iter().copied()).collect();
        let jobs = parts.into_iter().map(|(offset, part)| {
            let (catalog, file) = (&catalog, Arc::clone(&file));
            async move {
                let key = Object::Part(part.digest).key(catalog.history);
                let found = catalog.store.get(&key, part.bytes * 2).await?;
                let work = move || {
                    let piece = zstd::bulk::decompress(&found.bytes, usize::try_from(part.bytes)?)?;
                    anyhow::Ok(file.write_all_at(&piece, offset)?)
                };
                tokio::task::spawn_blocking(work).await?
            }
        });
        let all = futures::stream::iter(jobs).buffer_unordered(PARALLEL).try_collect::<()>();
        self.runtime.block_on(all)?;
        Ok(target)
    }

    /// The disk alone.
    pub(crate) fn raw_write(&self) -> Result<TempDir> {
        let target = self.target()?;
        let (mut from, mut to) =
            (File::open(self.ldb())?, File::create(target.path().join("raw"))?);
        let mut chunk = vec![0; 1 << 20];
        loop {
            let read = from.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            to.write_all(&chunk[..read])?;
        }
        to.sync_all()?;
        Ok(target)
    }

    /// A snapshot of the LDB to an empty place, by what the agent says it took.
    pub(crate) fn snapshot(&self) -> Result<Took> {
        let target = self.target()?;
        let place = self.fresh_place()?;
        copy_dir(&self.folder.path().join("ldb"), &target.path().join("ldb"))?;
        settle()?;
        let agent = Agent::start(&target.path().join("ldb"), &self.base(), &place, Upload::Always)?;
        agent.published(&self.runtime, &place)?;
        let seconds = agent.metric("ctlstore_agent_snapshot_seconds_sum")?;
        Ok(Took { seconds, peak_mib: agent.peak_mib()? })
    }

    /// On one core, as the agent does.
    pub(crate) fn compress(&self) -> Result<TempDir> {
        let target = self.target()?;
        let to = File::create(target.path().join("ldb.zst"))?;
        zstd::stream::copy_encode(File::open(self.ldb())?, to, 1)?;
        Ok(target)
    }

    /// Entries a second, of many that appear at once.
    pub(crate) fn apply(&self, upload: Upload) -> Result<f64> {
        let target = self.target()?;
        let (ldb, ctldb) = (target.path().join("ldb"), target.path().join("ctldb.sqlite"));
        copy_dir(&self.folder.path().join("ldb"), &ldb)?;
        fs::copy(self.base(), &ctldb)?;
        settle()?;
        let agent = Agent::start(&ldb, &ctldb, &self.fresh_place()?, upload)?;
        agent.reaches(self.manifest.position.seq.get())?;
        if upload == Upload::Always {
            let folder = ldb.join(".snapshot");
            until("a snapshot is taken", || Ok(folder.exists().then_some(())))?;
        } else {
            // As long as it takes to begin one.
            std::thread::sleep(Duration::from_millis(300));
        }
        let open = Connection::open(&ctldb)?;
        open.busy_timeout(Duration::from_secs(10))?;
        open.execute("ATTACH ?1 AS whole", [self.folder.path().join("full.sqlite").to_str()])?;
        open.execute_batch(
            "BEGIN IMMEDIATE;
             INSERT OR IGNORE INTO main.ctlstore_dml_ledger SELECT * FROM whole.ctlstore_dml_ledger;
             INSERT OR IGNORE INTO main.ctlstore_batches SELECT * FROM whole.ctlstore_batches;
             DELETE FROM main.ctlstore_meta;
             INSERT INTO main.ctlstore_meta SELECT * FROM whole.ctlstore_meta;
             COMMIT",
        )?;
        let start = Instant::now();
        agent.reaches(self.head)?;
        let entries = u32::try_from(self.head - self.manifest.position.seq.get())?;
        Ok(f64::from(entries) / start.elapsed().as_secs_f64())
    }

    fn target(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("base.sqlite")
    }

    fn ldb(&self) -> PathBuf {
        self.folder.path().join("ldb/current/ldb.db")
    }

    fn place(&self) -> Result<String> {
        self.server.url(&self.bucket, self.server.addr())
    }

    fn fresh_place(&self) -> Result<String> {
        let round = self.rounds.get() + 1;
        self.rounds.set(round);
        Ok(self.place()?.replace("/test?", &format!("/round-{round}?")))
    }

    fn catalog(&self, place: &str) -> Result<Catalog> {
        Ok(Catalog::new(store::open(&Location::parse(place)?), self.manifest.position.history))
    }
}

/// An LDB of the base ledger, filled up by rows that are in no ledger.
fn fill(folder: &Path, megabytes: u64) -> Result<()> {
    let (dir, base) = (folder.join("ldb"), folder.join("base.sqlite"));
    let nowhere = format!("file://{}", folder.display());
    let agent = Agent::start(&dir, &base, &nowhere, Upload::Never)?;
    agent.reaches(BEFORE)?;
    agent.stop()?;
    let file = dir.join("current/ldb.db");
    let open = Connection::open(&file)?;
    open.pragma_update(None, "synchronous", "off")?;
    let mut from = 0;
    while fs::metadata(&file)?.len() < megabytes * 1_000_000 {
        open.execute(FILL, params![from, from + ROWS - 1])?;
        from += ROWS;
        open.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(())
}

/// The served file of an LDB directory that nobody writes, in a directory of its own.
fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    let done = command.args(["--archive", "--"]).arg(from).arg(to).status().context("run cp")?;
    ensure!(done.success(), "cp failed");
    Ok(())
}

/// A running agent. Dropping it kills it.
struct Agent {
    child: Child,
    ldb_dir: PathBuf,
    admin: SocketAddr,
}

impl Agent {
    fn start(ldb_dir: &Path, ledger: &Path, place: &str, upload: Upload) -> Result<Self> {
        let url_file = ldb_dir.with_extension("url");
        fs::write(&url_file, format!("sqlite:{}", ledger.display()))?;
        let admin: SocketAddr = ([127, 0, 0, 1], testkit::free_port()).into();
        let who = if upload == Upload::Always { "always" } else { "never" };
        let child = Command::new(binary()?)
            .args([
                "agent",
                "--poll-interval=50ms",
                "--snapshot-interval=1h",
                "--bootstrap-jitter=0",
            ])
            .arg(format!("--ldb-dir={}", ldb_dir.display()))
            .arg(format!("--ctldb-url-file={}", url_file.display()))
            .arg(format!("--snapshot-url={place}"))
            .arg(format!("--snapshot-upload={who}"))
            .arg(format!("--admin-bind={admin}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start ctlstore agent")?;
        Ok(Self { child, ldb_dir: ldb_dir.to_owned(), admin })
    }

    /// Until the control page says that this entry is applied: a look at it costs the agent nothing.
    fn reaches(&self, seq: u64) -> Result<()> {
        let offset = u64::try_from(layout::word::SEQ * 8)?;
        until("the agent gets there", || {
            let mut word = [0; 8];
            let read = File::open(self.ldb_dir.join(layout::CTL))
                .and_then(|page| page.read_exact_at(&mut word, offset));
            Ok((read.is_ok() && u64::from_le_bytes(word) >= seq).then_some(()))
        })
    }

    /// Until it has uploaded and verified a snapshot.
    fn published(&self, runtime: &Runtime, place: &str) -> Result<Manifest> {
        until("a snapshot is published", || {
            let done = self.metric("ctlstore_agent_snapshot_seconds_count").unwrap_or(0.0);
            Ok((done > 0.0).then_some(()))
        })?;
        let ldb = reader::Ldb::open(&self.ldb_dir)?;
        let history = ldb.position()?.context("the LDB is empty")?.history;
        let catalog = Catalog::new(store::open(&Location::parse(place)?), history);
        match runtime.block_on(catalog.pointer())? {
            Pointer::At(manifest, _) => Ok(*manifest),
            other => bail!("{other:?}"),
        }
    }

    fn metric(&self, name: &str) -> Result<f64> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no metric {name}"))?.parse()?)
    }

    fn peak_mib(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u32 = peak.context("no peak")?.trim().trim_end_matches(" kB").parse()?;
        Ok(f64::from(kib) / 1024.0)
    }

    /// In good order.
    fn stop(mut self) -> Result<()> {
        let mut kill = Command::new("kill");
        kill.arg(self.child.id().to_string()).status()?;
        ensure!(self.child.wait()?.success(), "the agent did not end well");
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nobody pays for what the one before left to be written.
pub(crate) fn settle() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    Ok(())
}
