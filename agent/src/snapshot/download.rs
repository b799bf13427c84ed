//! Gets a snapshot into a private folder: parts in parallel, each checked by its digest while it is written to its place;
//! then the file is opened and must say of itself what the manifest says. The file is then, byte for byte, the one that its
//! uploader read whole and found sound, so its rows are not read here (docs/decisions/0022).
//!
//! What an earlier run got stays: a piece that is in the file already is found by its digest, whichever snapshot it came
//! with. A snapshot that is no good copy is left for the next older one; a store that fails is an error, for the older ones
//! lie there too.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ledger::snapshot::{Manifest, Object, Part, PartDigest, StoredManifest, pieces};
use ledger::{Digest, Position, Seq};
use tokio::time::{Instant, sleep};

use crate::ldb::contents;
use crate::snapshot::piece::blocking;
use crate::snapshot::{Catalog, Pointer, SnapshotError};
use daemon::log::Chain;

/// The file while it is put together; the same for all snapshots, so that pieces are found again.
const INCOMING: &str = "incoming.db";
/// Left free on the disk beside the file.
const RESERVE: u64 = 64 << 20;
/// Unpacked and written at once.
const CHUNK: usize = 256 << 10;
/// How often a part is asked for that does not come whole. The store's client retried what fails earlier.
const TRIES: u32 = 4;
/// A part that came damaged is asked for once more: a network may do that, a store's disk does it again.
const TRIES_DAMAGED: u32 = 2;
const PAUSE: Duration = Duration::from_millis(200);
const REPORT: Duration = Duration::from_secs(5);
/// How often the pointer is read again because a part was gone.
const REREADS: u32 = 3;

/// How to download.
#[derive(Debug, Clone)]
pub struct Download {
    /// A folder of our own, on the disk where the file will stay.
    pub dir: PathBuf,
    /// How many parts at once; each takes up to twice its piece in memory.
    pub parallel: usize,
    /// How far it is.
    pub progress: Arc<Progress>,
}

/// How far a download is, in bytes of the file.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// How many bytes there are, and how many are there.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        (self.total.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed))
    }
}

impl Download {
    /// Gets the newest snapshot that `wanted` accepts and that is a good copy. The file is the caller's to move away.
    ///
    /// # Errors
    /// The store or the disk fails, or there is no usable snapshot.
    pub async fn newest(
        &self,
        catalog: &Catalog,
        wanted: impl Fn(&Position) -> bool,
    ) -> Result<(PathBuf, Manifest), SnapshotError> {
        let mut tried = Tried::default();
        for _ in 0..=REREADS {
            match catalog.pointer().await? {
                Pointer::At(manifest, _) if !tried.knows(&manifest.position) => {
                    if let Some(done) =
                        self.try_one(catalog, *manifest, &wanted, &mut tried).await?
                    {
                        return Ok(done);
                    }
                    // If a part was gone, somebody may have published and collected meanwhile: look again.
                }
                Pointer::At(..) | Pointer::Absent => break,
                Pointer::Damaged(error, _) => {
                    tried.refused.push(Chain(&error).to_string());
                    break;
                }
            }
        }
        for StoredManifest { seq, digest, .. } in catalog.manifests().await? {
            if tried.names.contains(&(seq, digest)) {
                continue;
            }
            match catalog.manifest(seq, digest).await {
                Ok(manifest) => {
                    if let Some(done) = self.try_one(catalog, manifest, &wanted, &mut tried).await?
                    {
                        return Ok(done);
                    }
                }
                Err(error) if error.is_bad_copy() => tried.refuse((seq, digest), &error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        match tried.refused.into_iter().next() {
            Some(why) => Err(SnapshotError::NoneUsable { tried: tried.names.len(), why }),
            None => Err(SnapshotError::None),
        }
    }

    /// None: it is not wanted, or no good copy.
    async fn try_one(
        &self,
        catalog: &Catalog,
        manifest: Manifest,
        wanted: &impl Fn(&Position) -> bool,
        tried: &mut Tried,
    ) -> Result<Option<(PathBuf, Manifest)>, SnapshotError> {
        let name = (manifest.position.seq, manifest.position.digest);
        if !wanted(&manifest.position) {
            tried.names.push(name);
            return Ok(None);
        }
        match self.fetch(catalog, &manifest).await {
            Ok(file) => Ok(Some((file, manifest))),
            Err(error) if error.is_bad_copy() => {
                tried.refuse(name, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Gets this snapshot.
    ///
    /// # Errors
    /// The store or the disk fails, or it is no good copy.
    pub async fn fetch(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
    ) -> Result<PathBuf, SnapshotError> {
        let seq = manifest.position.seq;
        let whole =
            manifest.whole_file().map_err(|source| SnapshotError::Manifest { seq, source })?;
        let path = self.dir.join(INCOMING);
        let (bytes, own) = (whole.bytes, path.clone());
        let (file, is_new) = blocking(move || make_room(&own, bytes)).await?;
        let file = Arc::new(file);
        let places = pieces(whole.bytes, whole.piece_bytes).map(|(offset, _)| offset);
        let parts: Vec<_> = places.zip(whole.parts.iter().copied()).collect();
        self.progress.total.store(bytes, Ordering::Relaxed);
        self.progress.done.store(0, Ordering::Relaxed);
        let report = Report::new(seq, &self.progress);
        let jobs = parts.into_iter().map(|(offset, part)| {
            let job = Job { catalog, file: Arc::clone(&file), is_new, seq, offset, part };
            let report = &report;
            async move {
                job.run().await?;
                report.add(part.bytes);
                Ok::<_, SnapshotError>(())
            }
        });
        stream::iter(jobs).buffer_unordered(self.parallel.max(1)).try_collect::<()>().await?;
        let (own, manifest) = (path.clone(), manifest.clone());
        blocking(move || verify(&own, &file, &manifest)).await?;
        Ok(path)
    }
}

/// Snapshots that were looked at and not taken.
#[derive(Debug, Default)]
struct Tried {
    names: Vec<(Seq, Digest)>,
    refused: Vec<String>,
}

impl Tried {
    fn knows(&self, position: &Position) -> bool {
        self.names.contains(&(position.seq, position.digest))
    }

    fn refuse(&mut self, name: (Seq, Digest), error: &SnapshotError) {
        let why = Chain(error).to_string();
        tracing::warn!(seq = %name.0, error = %why, "a snapshot is no good copy");
        self.names.push(name);
        self.refused.push(why);
    }
}

/// One part.
struct Job<'a> {
    catalog: &'a Catalog,
    file: Arc<File>,
    /// Nothing is in it yet.
    is_new: bool,
    seq: Seq,
    offset: u64,
    part: Part,
}

impl Job<'_> {
    async fn run(&self) -> Result<(), SnapshotError> {
        let (file, offset, part) = (Arc::clone(&self.file), self.offset, self.part);
        if !self.is_new && blocking(move || Ok(is_there(&file, offset, part))).await? {
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.get().await {
                Err(error) if attempt < tries(&error) => {
                    let pause = PAUSE * 2_u32.pow(attempt - 1);
                    sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
                }
                done => return done,
            }
        }
    }

    async fn get(&self) -> Result<(), SnapshotError> {
        let (seq, Part { digest: part, bytes, .. }) = (self.seq, self.part);
        let key = Object::Part(part).key(self.catalog.history);
        // What a compressor may have added to a piece that cannot be compressed.
        let found = match self.catalog.store.get(&key, bytes + bytes / 128 + 1024).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => {
                return Err(SnapshotError::PartMissing { seq, part });
            }
            Err(error) => return Err(error.into()),
        };
        let (file, offset, wanted) = (Arc::clone(&self.file), self.offset, self.part);
        blocking(move || {
            let whole = unpack(&found.bytes, &file, offset, wanted);
            match whole.map_err(SnapshotError::file("write", Path::new(INCOMING)))? {
                true => Ok(()),
                false => Err(SnapshotError::PartDamaged { seq, part }),
            }
        })
        .await
    }
}

/// None more where the store was certain.
fn tries(error: &SnapshotError) -> u32 {
    match error {
        SnapshotError::Store { source } if source.is_unavailable() => TRIES,
        SnapshotError::PartDamaged { .. } => TRIES_DAMAGED,
        _ => 1,
    }
}

/// Writes what a part holds to its place, a chunk at a time. False: it is not the piece that it should be, and what is
/// there now is to be overwritten.
fn unpack(stored: &[u8], file: &File, offset: u64, part: Part) -> io::Result<bool> {
    let Ok(mut from) = zstd::stream::read::Decoder::with_buffer(stored) else { return Ok(false) };
    let (mut hasher, mut chunk, mut done) = (blake3::Hasher::new(), vec![0; CHUNK], 0_u64);
    loop {
        let Ok(bytes) = from.read(&mut chunk) else { return Ok(false) };
        let next = done + u64::try_from(bytes).expect("BUG: a chunk is small");
        // It never grows beyond what the manifest says.
        if bytes == 0 || next > part.bytes {
            let digest = PartDigest::from_bytes(*hasher.finalize().as_bytes());
            return Ok(bytes == 0 && done == part.bytes && digest == part.digest);
        }
        hasher.update(&chunk[..bytes]);
        file.write_all_at(&chunk[..bytes], offset + done)?;
        done = next;
    }
}

fn is_there(file: &File, offset: u64, part: Part) -> bool {
    let (mut hasher, mut chunk, mut done) = (blake3::Hasher::new(), vec![0; CHUNK], 0_u64);
    while done < part.bytes {
        let bytes = usize::try_from(part.bytes - done).unwrap_or(CHUNK).min(CHUNK);
        if file.read_exact_at(&mut chunk[..bytes], offset + done).is_err() {
            return false;
        }
        hasher.update(&chunk[..bytes]);
        done += u64::try_from(bytes).expect("BUG: a chunk is small");
    }
    PartDigest::from_bytes(*hasher.finalize().as_bytes()) == part.digest
}

/// Opens the file, as large as it will be, if the disk has room for it. Is nothing in it yet?
fn make_room(path: &Path, bytes: u64) -> Result<(File, bool), SnapshotError> {
    let failed = || SnapshotError::file("make", path);
    let dir = path.parent().unwrap_or(path);
    std::fs::create_dir_all(dir).map_err(failed())?;
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(failed())?;
    let there = file.metadata().map_err(failed())?.blocks() * 512;
    need(dir, bytes.saturating_sub(there))?;
    file.set_len(bytes).map_err(failed())?;
    Ok((file, there == 0))
}

/// Has the disk room for so much, and something left then?
pub(super) fn need(dir: &Path, bytes: u64) -> Result<(), SnapshotError> {
    let (needed, available) = (bytes.saturating_add(RESERVE), space(dir)?);
    if available < needed {
        return Err(SnapshotError::NoSpace { path: dir.to_owned(), needed, available });
    }
    Ok(())
}

/// How many bytes are free for us on the disk of this folder.
///
/// # Errors
/// The system does not say.
pub fn space(dir: &Path) -> Result<u64, SnapshotError> {
    let found = nix::sys::statvfs::statvfs(dir);
    let found =
        found.map_err(|error| SnapshotError::file("look at the disk of", dir)(error.into()))?;
    Ok(found.blocks_available().saturating_mul(found.fragment_size()))
}

fn verify(path: &Path, file: &File, manifest: &Manifest) -> Result<(), SnapshotError> {
    file.sync_all().map_err(SnapshotError::file("sync", path))?;
    let found = contents::outline(path)?;
    let differs = |what: String| Err(SnapshotError::Differs { what });
    if found.position != Some(manifest.position) {
        return differs("it stands at another entry than its manifest".to_owned());
    }
    let wanted: Vec<_> = manifest.tables.iter().map(|table| &table.schema).collect();
    if let Some(odd) = found.tables.iter().find(|schema| !wanted.contains(schema)) {
        return differs(format!("table {} is not that of its manifest", odd.table()));
    }
    if found.tables.len() < wanted.len() {
        return differs("tables are missing".to_owned());
    }
    Ok(())
}

/// Says every five seconds how far it is.
struct Report<'a> {
    seq: Seq,
    progress: &'a Progress,
    start: Instant,
    said_ms: AtomicU64,
}

impl<'a> Report<'a> {
    fn new(seq: Seq, progress: &'a Progress) -> Self {
        Self { seq, progress, start: Instant::now(), said_ms: AtomicU64::new(0) }
    }

    fn add(&self, bytes: u64) {
        let done = self.progress.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.progress.total.load(Ordering::Relaxed);
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let said = self.said_ms.load(Ordering::Relaxed);
        if u128::from(elapsed - said.min(elapsed)) < REPORT.as_millis() {
            return;
        }
        self.said_ms.store(elapsed, Ordering::Relaxed);
        let rate = done.saturating_mul(1000) / elapsed.max(1);
        let left_s = total.saturating_sub(done) / rate.max(1);
        tracing::info!(seq = %self.seq, done, total, bytes_per_second = rate, left_s, "downloading a snapshot");
    }
}
