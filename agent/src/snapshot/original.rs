//! The original's layout: the whole file as one object, gzip when its key ends in `.gz`, with the metadata `checksum`, the
//! SHA-1 of the file before compression. Written so that original reflectors can start from us, read so that we can start
//! from theirs.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ledger::snapshot::ObjectKey;
use sha1::{Digest as _, Sha1};

use crate::snapshot::SnapshotError;
use crate::snapshot::download::need;
use crate::snapshot::piece::blocking;
use store::{Location, Rate, S3Location, Stat, Store};

/// Read at once.
const CHUNK: usize = 1 << 20;
/// Asked for at once.
const RANGE: u64 = 16 << 20;

/// The store and the key in it that a place means which names one object: `s3://BUCKET/KEY` or `file:///DIR/FILE`.
#[must_use]
pub fn place(place: &Location) -> Option<(Location, ObjectKey)> {
    match place {
        Location::S3(object) => {
            let key = ObjectKey::chosen(object.prefix.trim_end_matches('/')).ok()?;
            let bucket = S3Location { prefix: String::new(), ..(**object).clone() };
            Some((Location::S3(Box::new(bucket)), key))
        }
        Location::File(path) => {
            let key = ObjectKey::chosen(path.file_name()?.to_str()?).ok()?;
            Some((Location::File(path.parent()?.to_owned()), key))
        }
    }
}

/// Writes a file at rest in the original's layout, no faster than this, with the compressed form in `work` for as long as it
/// takes.
///
/// # Errors
/// The store or the disk fails.
pub async fn write(
    store: &dyn Store,
    key: &ObjectKey,
    file: &Path,
    work: &Path,
    rate: Rate,
) -> Result<(), SnapshotError> {
    let (path, packed) = (file.to_owned(), work.join("original.gz"));
    let compressed = is_gzip(key).then(|| packed.clone());
    let to = compressed.clone();
    let checksum = blocking(move || pack(&path, to.as_deref())).await?;
    let body = compressed.as_deref().unwrap_or(file);
    let sent = store.put_file(key, body, &checksum, rate).await;
    if compressed.is_some() {
        drop(tokio::fs::remove_file(&packed).await);
    }
    Ok(sent?)
}

/// Gets an original snapshot into `work`: where the file is then. It is checked against its `checksum` if it has one.
///
/// # Errors
/// The store or the disk fails, or it is no good copy.
pub async fn read(
    store: &dyn Store,
    key: &ObjectKey,
    work: &Path,
) -> Result<PathBuf, SnapshotError> {
    let stat = store.head(key).await?;
    let (stored, plain) = (work.join("original.part"), work.join("original.db"));
    tokio::fs::create_dir_all(work).await.map_err(SnapshotError::file("make", work))?;
    // As it is stored and unpacked; how large that is says nobody, but no smaller.
    need(work, stat.bytes.saturating_mul(2))?;
    get(store, key, &stat, &stored).await?;
    let (from, to, gzip) = (stored.clone(), plain.clone(), is_gzip(key));
    let checksum = blocking(move || unpack(&from, &to, gzip)).await?;
    if stat.checksum.is_some_and(|wanted| wanted != checksum) {
        let what = "its checksum is not that of its metadata".to_owned();
        return Err(SnapshotError::Differs { what });
    }
    drop(tokio::fs::remove_file(&stored).await);
    Ok(plain)
}

async fn get(
    store: &dyn Store,
    key: &ObjectKey,
    stat: &Stat,
    to: &Path,
) -> Result<(), SnapshotError> {
    let failed = || SnapshotError::file("write", to);
    let mut file = File::create(to).map_err(failed())?;
    let mut offset = 0;
    while offset < stat.bytes {
        let chunk = store.get_range(key, offset, RANGE.min(stat.bytes - offset)).await?;
        if chunk.is_empty() {
            break;
        }
        offset += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        file = blocking({
            let failed = failed();
            move || file.write_all(&chunk).map(|()| file).map_err(failed)
        })
        .await?;
    }
    // The original writes over the same object; half of one and half of another is none.
    let after = store.head(key).await?;
    if offset != stat.bytes || after != *stat {
        return Err(SnapshotError::Differs {
            what: "it was replaced while it was read".to_owned(),
        });
    }
    Ok(())
}

fn is_gzip(key: &ObjectKey) -> bool {
    key.as_str().ends_with(".gz")
}

/// The checksum of a file; compresses it on the way if asked to.
fn pack(path: &Path, to: Option<&Path>) -> Result<String, SnapshotError> {
    let work = || -> io::Result<String> {
        let mut from = File::open(path)?;
        let Some(to) = to else { return copy(&mut from, &mut io::sink()) };
        let mut gzip = GzEncoder::new(File::create(to)?, Compression::fast());
        let checksum = copy(&mut from, &mut gzip)?;
        gzip.finish()?.sync_all()?;
        Ok(checksum)
    };
    work().map_err(SnapshotError::file("compress", path))
}

fn unpack(stored: &Path, plain: &Path, gzip: bool) -> Result<String, SnapshotError> {
    let work = || -> io::Result<String> {
        let from = File::open(stored)?;
        let mut to = File::create(plain)?;
        let checksum = match gzip {
            true => copy(&mut MultiGzDecoder::new(io::BufReader::new(from)), &mut to)?,
            false => copy(&mut { from }, &mut to)?,
        };
        to.sync_all()?;
        Ok(checksum)
    };
    match work() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Err(SnapshotError::Differs { what: format!("it is no gzip file: {error}") })
        }
        done => done.map_err(SnapshotError::file("unpack", stored)),
    }
}

/// Copies, and gives the checksum of what it copied.
fn copy(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<String> {
    let (mut hasher, mut chunk) = (Sha1::new(), vec![0; CHUNK]);
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(BASE64_STANDARD.encode(hasher.finalize())),
            bytes => {
                hasher.update(&chunk[..bytes]);
                to.write_all(&chunk[..bytes])?;
            }
        }
    }
}
