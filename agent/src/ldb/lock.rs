//! One agent per directory: an flock that the kernel takes back when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::ldb::Error;

/// Held while it lives. The file stays and holds the last holder's process id.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(super) file: File,
}

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(reader::layout::LOCK);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let mut file = options.open(&path).map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Empty for a moment while the other one starts.
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = if known { pid.trim().to_owned() } else { "unknown".to_owned() };
                return Err(Error::Locked { path: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::File { what: "lock", path, source });
            }
        }
        let told = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        match told {
            // A full disk must not keep an agent from serving; the name is for people.
            Err(error) if error.kind() == ErrorKind::StorageFull => {}
            told => told.map_err(Error::file("write", &path))?,
        }
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a child process that another thread starts has it too, from its fork to its exec,
    /// and with it the lock.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "cannot unlock the LDB directory");
        }
    }
}
