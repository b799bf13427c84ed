//! A generation to be: a folder with a number that nobody had, which nobody reads until it is published. One that is
//! not published goes away again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reader::layout;

use crate::ldb::{Error, dir};

/// Where drafts come from. Clones give out different numbers.
#[derive(Debug, Clone)]
pub(crate) struct Drafts {
    dir: PathBuf,
    next: Arc<AtomicU64>,
}

impl Drafts {
    /// Numbers begin above this one.
    pub(crate) fn above(dir: &Path, generation: u64) -> Self {
        Self { dir: dir.to_owned(), next: Arc::new(AtomicU64::new(generation + 1)) }
    }

    /// Makes an empty folder, which is to hold one file: [`Draft::file`].
    pub(crate) fn begin(&self) -> Result<Draft, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let folder = dir::folder(&self.dir, number);
        dir::remove(&folder)?;
        dir::make_folder(&folder)?;
        Ok(Draft { number, folder, vouched: false, served: false })
    }
}

/// A generation to be.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) number: u64,
    pub(crate) folder: PathBuf,
    /// Its bytes are known to be right, so they are not all read again.
    vouched: bool,
    served: bool,
}

impl Draft {
    /// Where the database is to lie, closed and without `-wal`, when the draft is published.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(layout::LDB)
    }

    /// Each byte of its file was compared with a digest when it was written, or all of it was read and found whole.
    pub(crate) fn vouch(&mut self) {
        self.vouched = true;
    }

    pub(crate) fn is_vouched(&self) -> bool {
        self.vouched
    }

    /// `current` leads to it.
    pub(crate) fn keep(&mut self) {
        self.served = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.served
            && let Err(error) = dir::remove(&self.folder)
        {
            // The next start removes it.
            tracing::debug!(%error, "cannot remove what was not published");
        }
    }
}
