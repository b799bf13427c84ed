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
        Ok(Draft { number, folder, served: false })
    }
}

/// A generation to be.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) number: u64,
    pub(crate) folder: PathBuf,
    served: bool,
}

impl Draft {
    /// Where the database is to lie, closed and without `-wal`, when the draft is published.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(layout::LDB)
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
