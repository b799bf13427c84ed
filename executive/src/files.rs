//! Reads mounted files again and again: the URL of ctldb, the admin tokens, the certificate. What a file holds is never
//! repeated, not even in an error.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daemon::log::Chain;
use daemon::serve::Tls;
use ledger::{CtlDbUrl, CtlDbUrlError};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Admins;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}, check that it is mounted and that we may read it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not hold a URL of ctldb.
    #[error("{} holds no ctldb URL", path.display())]
    Url {
        /// Which.
        path: PathBuf,
        /// Why.
        source: CtlDbUrlError,
    },
}

/// The URL in this file.
pub(crate) fn url(path: &Path) -> Result<CtlDbUrl, FileError> {
    let path = path.to_owned();
    CtlDbUrl::parse(&read(&path)?).map_err(|source| FileError::Url { path, source })
}

fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })
}

/// The files that may change while we run.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) url_file: Option<PathBuf>,
    /// What the file held last.
    pub(crate) url: CtlDbUrl,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) pause: Duration,
}

/// Reads the files again and again until `stop`, and follows their changes. They are compared by what they hold: a mounted
/// secret is replaced through a symbolic link, which watching the file itself would miss.
pub(crate) async fn watch(
    app: App,
    mut watched: Watched,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(watched.pause) => {}
        }
        if let Err(error) = follow_url(&app, &mut watched).await {
            tracing::warn!(error = %Chain(&error), "keeping the ctldb URL that was read before");
        }
        follow_tokens(&app);
        if let Some(tls) = &watched.tls {
            follow_certificate(tls);
        }
    }
}

async fn follow_url(app: &App, watched: &mut Watched) -> Result<(), FileError> {
    let Some(file) = &watched.url_file else { return Ok(()) };
    let url = url(file)?;
    if url != watched.url {
        tracing::info!(%url, "the ctldb URL changed");
        app.db.replace_url(url.clone()).await;
        watched.url = url;
    }
    Ok(())
}

fn follow_tokens(app: &App) {
    let Admins::Tokens(tokens) = &app.admins else { return };
    match tokens.reload() {
        Ok(true) => tracing::info!("the admin tokens changed"),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "keeping the admin tokens that were read before");
        }
    }
}

fn follow_certificate(tls: &Tls) {
    match tls.reload() {
        Ok(true) => tracing::info!("the certificate changed"),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "keeping the certificate that was read before");
        }
    }
}
