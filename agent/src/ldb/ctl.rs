//! Writes the control page, whose layout is described in [`reader::layout`]. pwrite(2) of whole words: a process that
//! maps the page sees each word before or after, and inotify tells those who wait.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use daemon::log::Chain;
use ledger::Seq;
use reader::layout::{self, word};
use tokio_util::sync::CancellationToken;

use crate::ldb::{Claim, Error};

const BEAT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Ctl {
    file: File,
    path: PathBuf,
}

impl Ctl {
    /// Opens the page, or makes it: it appears under its name when it is whole, and keeps that name for ever.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(layout::CTL);
        if !path.exists() {
            make(dir, &path)?;
        }
        let file = File::options().read(true).write(true).open(&path);
        let ctl = Self { file: file.map_err(Error::file("open", &path))?, path };
        let foreign = |what: &str| Error::Foreign { path: ctl.path.clone(), what: what.to_owned() };
        let bytes = ctl.file.metadata().map_err(Error::file("read", &ctl.path))?.len();
        if bytes < size() || ctl.read(word::MAGIC)? != layout::MAGIC {
            return Err(foreign("not a control page"));
        }
        if ctl.read(word::VERSION)? != layout::VERSION {
            return Err(foreign("a control page of another version of ctlstore"));
        }
        Ok(ctl)
    }

    /// Says what is served, after a start or a switch. A sequence below the one said before means that a crash of the
    /// machine took the end of the LDB away.
    pub(crate) fn restore(&self, generation: u64, seq: Seq, claim: Claim) -> Result<(), Error> {
        let incarnation = self.incarnation()?;
        let back = seq < self.seq()? || incarnation == 0 || claim == Claim::Instead;
        self.write(word::INCARNATION, &[incarnation + u64::from(back)])?;
        self.tell(seq)?;
        self.serve(generation)
    }

    /// Last of what is written: whoever sees the generation sees what belongs to it.
    pub(crate) fn serve(&self, generation: u64) -> Result<(), Error> {
        self.write(word::GENERATION, &[generation])
    }

    /// The generation that was told last.
    /// How often the sequence may have stepped back.
    pub(crate) fn incarnation(&self) -> Result<u64, Error> {
        self.read(word::INCARNATION)
    }

    pub(crate) fn generation(&self) -> Result<u64, Error> {
        self.read(word::GENERATION)
    }

    /// The last sequence that was told.
    pub(crate) fn seq(&self) -> Result<Seq, Error> {
        let number = i64::try_from(self.read(word::SEQ)?).ok();
        let seq = number.and_then(|number| Seq::try_from(number).ok());
        seq.ok_or_else(|| Error::Foreign {
            path: self.path.clone(),
            what: "its sequence is none".to_owned(),
        })
    }

    /// Says that everything up to this sequence is committed.
    pub(crate) fn tell(&self, seq: Seq) -> Result<(), Error> {
        self.write(word::SEQ, &[seq.get(), now()])
    }

    fn read(&self, word: usize) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        let read = self.file.read_exact_at(&mut bytes, offset(word));
        read.map_err(Error::file("read", &self.path))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&self, first: usize, words: &[u64]) -> Result<(), Error> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let written = self.file.write_all_at(&bytes, offset(first));
        written.map_err(Error::file("write", &self.path))
    }
}

/// Who is told of commits: readers, if the generation is served, or nobody.
#[derive(Debug, Default)]
pub(crate) struct Teller(Option<Arc<Ctl>>);

impl Teller {
    pub(crate) fn of(ctl: &Arc<Ctl>) -> Self {
        Self(Some(Arc::clone(ctl)))
    }

    pub(crate) fn tell(&self, seq: Seq) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |ctl| ctl.tell(seq))
    }
}

/// Says that the agent lives, through a handle of its own.
#[derive(Debug)]
pub(crate) struct Heartbeat(Ctl);

impl Heartbeat {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        Ctl::open(dir).map(Self)
    }

    /// Says so every second, until `stop`. The page is memory of the kernel: the write does not wait for a disk. A disk
    /// that fails does not end it, for reads go on.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut well = true;
        loop {
            let written = self.0.write(word::HEARTBEAT, &[now()]);
            if let Err(error) = &written
                && well
            {
                tracing::error!(error = %Chain(error), "cannot write the heartbeat, reads go on");
            }
            well = written.is_ok();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }
}

fn make(dir: &Path, path: &Path) -> Result<(), Error> {
    let new = dir.join("ctl.new");
    let mut page = Vec::with_capacity(layout::CTL_BYTES);
    let mut words = [0_u64; word::COUNT];
    words[word::MAGIC] = layout::MAGIC;
    words[word::VERSION] = layout::VERSION;
    words[word::LEAST_READER] = 1;
    page.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    page.resize(layout::CTL_BYTES, 0);
    let write = || {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.write_all(&page)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(Error::file("make", path))
}

fn offset(word: usize) -> u64 {
    u64::try_from(word * 8).expect("BUG: the page is small")
}

fn size() -> u64 {
    u64::try_from(layout::CTL_BYTES).expect("BUG: the page is small")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
