//! A Unix socket that is a file: made with its mode, in the place of one that a process left behind, and removed at the end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The longest path that the system takes, in bytes: its address has room for 108 with the zero at the end.
pub const MAX_PATH_BYTES: usize = 107;

/// Why a socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No address can hold the path.
    #[error(
        "the path of the socket {} has {bytes} bytes and the system takes {MAX_PATH_BYTES}, choose a directory with a shorter path", path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// A process answers there.
    #[error("another process serves {}, stop it first", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// What lies there is no socket, and may be dear to somebody.
    #[error("{} is there and is no socket, move it away", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot make the socket {}, check that its directory is there and ours to write", path.display())]
    Make {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file of a socket. Dropping this removes it, unless another process has put its own there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    is: (u64, u64),
}

/// Listens on a socket at `path`, which gets this mode. Must run within a runtime of tokio.
///
/// # Errors
/// The path is too long, something else is there, or the system refuses.
pub fn listen(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), SocketError> {
    let failed = |source| SocketError::Make { path: path.to_owned(), source };
    let bytes = path.as_os_str().len();
    if bytes > MAX_PATH_BYTES {
        return Err(SocketError::TooLong { path: path.to_owned(), bytes });
    }
    remove_stale(path)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    let file = fs::symlink_metadata(path).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), is: (file.dev(), file.ino()) }))
}

/// A process that was killed leaves its socket behind, and nobody answers there.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Make { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError::InUse { path: path.to_owned() });
    }
    fs::remove_file(path).map_err(failed)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let own = fs::symlink_metadata(&self.path).is_ok_and(|f| (f.dev(), f.ino()) == self.is);
        if own && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_has_its_mode_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (listener, file) = listen(&path, 0o666).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert!(matches!(listen(&path, 0o666), Err(SocketError::InUse { .. })));
        // As after a kill: the file stays, and nobody listens.
        std::mem::forget(file);
        drop(listener);
        let (_listener, file) = listen(&path, 0o600).unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_in_the_way_is_told_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "data").unwrap();
        assert!(matches!(listen(&path, 0o666), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"data");
        let long = dir.path().join("x".repeat(120));
        let text = listen(&long, 0o666).unwrap_err().to_string();
        assert!(text.contains("takes 107, choose a directory with a shorter path"), "{text}");
        let nowhere = dir.path().join("no/s");
        assert!(matches!(listen(&nowhere, 0o666), Err(SocketError::Make { .. })));
    }
}
