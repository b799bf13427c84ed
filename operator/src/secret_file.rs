//! Follows the file that says where ctldb is. Its password is rotated while we run: the kubelet replaces the file, and we
//! take new connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon::log::Chain;
use ledger::{CtlDbUrl, CtlDbUrlError};
use tokio_util::sync::CancellationToken;

use crate::database::Database;

/// The kubelet takes up to a minute to replace it; five seconds more are nothing.
const LOOK: Duration = Duration::from_secs(5);

/// The file does not say where ctldb is. Its content is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("cannot read {}, put the URL of ctldb into it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{} holds no URL of ctldb", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CtlDbUrlError,
    },
}

/// The URL in a file.
///
/// # Errors
/// The file cannot be read, or holds no URL.
pub(crate) fn read(path: &Path) -> Result<CtlDbUrl, SecretFileError> {
    parse(path, std::fs::read_to_string(path))
}

/// Looks at the file until `stop`, and replaces the URL when it changed. A file that makes no sense changes nothing.
pub(crate) async fn follow(
    path: &Path,
    mut known: CtlDbUrl,
    database: &Database,
    stop: &CancellationToken,
) {
    let mut complained = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        match look(path).await {
            Ok(url) if url == known => complained = false,
            Ok(url) => {
                complained = false;
                tracing::info!(%url, "the URL of ctldb changed, connecting anew");
                known = url.clone();
                database.replace_url(url).await;
            }
            Err(error) if !complained => {
                complained = true;
                tracing::warn!(error = %Chain(&error), "the file with the URL of ctldb makes no sense, the last URL is kept");
            }
            Err(_) => {}
        }
    }
}

async fn look(path: &Path) -> Result<CtlDbUrl, SecretFileError> {
    parse(path, tokio::fs::read_to_string(path).await)
}

fn parse(path: &Path, text: std::io::Result<String>) -> Result<CtlDbUrl, SecretFileError> {
    let text = text.map_err(|source| SecretFileError::Read { path: path.to_owned(), source })?;
    CtlDbUrl::parse(&text)
        .map_err(|source| SecretFileError::Parse { path: path.to_owned(), source })
}
