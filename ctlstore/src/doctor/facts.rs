//! What is there: looked at, not judged. It disturbs nobody: names and modes are asked of the file system, locks of the
//! kernel's list, and no file of the served generation is opened by plain calls, for closing one takes SQLite's locks off.
//! The rows are read last, as every program reads them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use daemon::log::Chain;
use ledger::{LeaderTs, Position, Seq};
use nix::sys::statvfs::{FsFlags, statvfs};
use reader::Ldb;
use reader::layout::{self, word};

use crate::doctor::locks::Locks;
use crate::doctor::reach::Reached;

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) dir: PathBuf,
    /// By this machine's clock, microseconds since 1970.
    pub(crate) now: i64,
    pub(crate) folder: Option<Entry>,
    pub(crate) ctl: Option<Entry>,
    /// The control page, if it is one.
    pub(crate) words: Option<[u64; word::COUNT]>,
    pub(crate) current: Option<Entry>,
    /// `ldb.db`, as the original names it.
    pub(crate) link: Option<Entry>,
    pub(crate) socket: Option<Entry>,
    pub(crate) generations: Vec<u64>,
    pub(crate) served: Option<Served>,
    /// What a crash in the middle of something leaves behind.
    pub(crate) strays: Vec<String>,
    pub(crate) space: Option<Space>,
    pub(crate) locks: Locks,
    /// What a reader says: the rows' own tale, or why there is none.
    pub(crate) rows: Option<Result<Rows, String>>,
    /// Those who can be asked; without a flag, or a socket, they are not.
    pub(crate) reached: Reached,
}

/// A name in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// The permissions alone.
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) bytes: u64,
    pub(super) inode: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
    Link(PathBuf),
    Socket,
    Other,
}

/// The generation that `current` leads to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    pub(crate) number: u64,
    pub(crate) folder: Option<Entry>,
    pub(crate) database: Option<Entry>,
    pub(crate) wal: Option<Entry>,
    pub(crate) shm: Option<Entry>,
}

/// Of the disk that the directory lies on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    pub(crate) free: u64,
    pub(crate) total: u64,
    /// This process sees it read-only, as pods do.
    pub(crate) read_only: bool,
}

/// Where the LDB stands, as its rows say.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) seq: Seq,
    pub(crate) position: Option<Position>,
    pub(crate) written: Option<LeaderTs>,
    pub(crate) tables: usize,
}

/// Looks at a directory; who can be reached is asked elsewhere.
pub(crate) fn gather(dir: &Path) -> Facts {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut facts = Facts {
        dir: dir.to_owned(),
        now: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
        folder: entry(dir),
        ctl: entry(&dir.join(layout::CTL)),
        current: entry(&dir.join(layout::CURRENT)),
        link: entry(&dir.join(layout::LDB)),
        socket: entry(&dir.join(layout::SOCKET)),
        space: space(dir),
        ..Facts::default()
    };
    if facts.folder.is_none() {
        return facts;
    }
    facts.words = facts.ctl.as_ref().and_then(|_| words(&dir.join(layout::CTL)));
    names(dir, &mut facts);
    facts.served = facts.current.as_ref().and_then(|current| served(dir, current));
    let inode = |entry: Option<&Entry>| entry.map(|entry| entry.inode);
    let shm = facts.served.as_ref().and_then(|served| inode(served.shm.as_ref()));
    let lock = inode(entry(&dir.join(layout::LOCK)).as_ref());
    // Where the kernel keeps its list to itself, nothing is known of locks.
    let listed = fs::read_to_string("/proc/locks").unwrap_or_default();
    facts.locks = Locks::parse(&listed, shm, lock);
    facts.rows = Some(rows(dir).map_err(|error| Chain(&error).to_string()));
    facts
}

fn entry(path: &Path) -> Option<Entry> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_dir() => Kind::Folder,
        () if kind.is_file() => Kind::File,
        () if kind.is_symlink() => Kind::Link(fs::read_link(path).unwrap_or_default()),
        () if kind.is_socket() => Kind::Socket,
        () => Kind::Other,
    };
    Some(Entry {
        kind,
        mode: metadata.mode() & 0o7777,
        owner: metadata.uid(),
        bytes: metadata.len(),
        inode: metadata.ino(),
    })
}

/// The control page is no file of SQLite's: reading it is harmless.
fn words(path: &Path) -> Option<[u64; word::COUNT]> {
    let page = fs::read(path).ok()?;
    let mut words = [0; word::COUNT];
    for (word, bytes) in words.iter_mut().zip(page.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().ok()?);
    }
    (page.len() >= layout::CTL_BYTES && words[word::MAGIC] == layout::MAGIC).then_some(words)
}

fn names(dir: &Path, facts: &mut Facts) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        match layout::generation_of(&name) {
            Some(generation) => facts.generations.push(generation),
            None if name.ends_with(".new") => facts.strays.push(name),
            None => {}
        }
    }
    facts.generations.sort_unstable();
    facts.strays.sort_unstable();
}

fn served(dir: &Path, current: &Entry) -> Option<Served> {
    let Kind::Link(target) = &current.kind else { return None };
    let number = layout::generation_of(target.to_str()?)?;
    let folder = dir.join(target);
    let file = |name: &str| entry(&folder.join(name));
    Some(Served {
        number,
        folder: entry(&folder),
        database: file(layout::LDB),
        wal: file(&format!("{}-wal", layout::LDB)),
        shm: file(&format!("{}-shm", layout::LDB)),
    })
}

fn space(dir: &Path) -> Option<Space> {
    let stat = statvfs(dir).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    Some(Space {
        free: bytes(stat.blocks_available()),
        total: bytes(stat.blocks()),
        read_only: stat.flags().contains(FsFlags::ST_RDONLY),
    })
}

fn rows(dir: &Path) -> Result<Rows, reader::Error> {
    let ldb = Ldb::open(dir)?;
    let mut tables = 0;
    for family in ldb.families()? {
        tables += ldb.family(family.as_str())?.tables()?.len();
    }
    Ok(Rows { seq: ldb.seq()?, position: ldb.position()?, written: ldb.last_update()?, tables })
}

/// Is it there at all? Not being allowed to look is not the same.
pub(crate) fn hidden(dir: &Path) -> bool {
    fs::symlink_metadata(dir).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

#[cfg(test)]
impl Entry {
    pub(super) fn new(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, owner: 0, bytes: 0, inode: 0 }
    }
}
