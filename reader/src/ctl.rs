//! The control page, mapped into this process: a look at a word costs no system call.
#![allow(
    unsafe_code,
    reason = "mmap has no safe form: nobody can promise that a file keeps its size"
)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::layout::{CTL_BYTES, MAGIC, READER_VERSION, word};

/// The mapped page. Its file is never truncated (see [`crate::layout`]), so the mapping stays readable.
pub(crate) struct Ctl {
    page: NonNull<AtomicU64>,
}

/// What the control page says of the content of the file. Another one means that something was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stand {
    pub(crate) seq: u64,
    pub(crate) incarnation: u64,
}

// SAFETY: the page is only ever read, and only through atomics.
unsafe impl Send for Ctl {}
// SAFETY: as above.
unsafe impl Sync for Ctl {}

impl Ctl {
    /// Maps the page. `None` when there is no such file.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |source| Error::Ctl { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let long_enough = u64::try_from(CTL_BYTES).is_ok_and(|least| {
            file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() >= least)
        });
        if !long_enough {
            return Err(Error::NotCtl { path: path.to_owned() });
        }
        // SAFETY: a new mapping of our choosing, read-only, of a file that is as long; the result is checked.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                CTL_BYTES,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(failed(std::io::Error::last_os_error()));
        }
        let page = NonNull::new(page.cast()).ok_or_else(|| Error::NotCtl { path: path.to_owned() });
        let ctl = Self { page: page? };
        ctl.check(path.to_owned())?;
        Ok(Some(ctl))
    }

    fn check(&self, path: PathBuf) -> Result<(), Error> {
        if self.word(word::MAGIC) != MAGIC {
            return Err(Error::NotCtl { path });
        }
        self.check_reader()
    }

    /// May we still read? A newer agent may have taken over since the page was mapped.
    #[inline]
    pub(crate) fn check_reader(&self) -> Result<(), Error> {
        match self.word(word::LEAST_READER) {
            least if least > READER_VERSION => Err(Error::TooOld { least }),
            _ => Ok(()),
        }
    }

    /// The served generation; what was written before it is seen after it.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.word(word::GENERATION)
    }

    /// Where the LDB stands. Loaded before a transaction begins: what was committed before it was written is seen then.
    #[inline]
    pub(crate) fn stand(&self) -> Stand {
        Stand { seq: self.word(word::SEQ), incarnation: self.word(word::INCARNATION) }
    }

    /// When the agent was last seen alive, milliseconds since 1970.
    pub(crate) fn heartbeat(&self) -> u64 {
        self.word(word::HEARTBEAT)
    }

    #[inline]
    fn word(&self, index: usize) -> u64 {
        assert!(index < word::COUNT, "BUG: no such word");
        // SAFETY: within the page, which is aligned to 4096 bytes and lives as long as `self`.
        let word = unsafe { self.page.add(index).as_ref() };
        u64::from_le(word.load(Ordering::Acquire))
    }
}

impl Drop for Ctl {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody can reach any more.
        unsafe { libc::munmap(self.page.as_ptr().cast(), CTL_BYTES) };
    }
}

impl std::fmt::Debug for Ctl {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ctl").field("generation", &self.generation()).finish()
    }
}
