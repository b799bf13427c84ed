//! Which source to ask: made from the URL when first asked, and anew from the URL's file after a failure, for then the
//! password may have been changed.

use std::path::{Path, PathBuf};

use ledger::{CtlDbUrl, Position, Seq};

use crate::source::mysql::MySql;
use crate::source::sqlite::Sqlite;
use crate::source::{Fetched, Limit, Source, SourceError, Survey};

pub(crate) struct Upstream {
    url: CtlDbUrl,
    file: Option<PathBuf>,
    source: Box<dyn Source>,
    failed: bool,
}

impl Upstream {
    /// Touches neither network nor file.
    pub(crate) fn new(url: CtlDbUrl, file: Option<PathBuf>) -> Self {
        let source = source(&url);
        Self { url, file, source, failed: false }
    }

    /// Asks this one, whatever it is.
    #[cfg(test)]
    pub(crate) fn of(source: Box<dyn Source>) -> Self {
        let url = CtlDbUrl::Sqlite(PathBuf::from("/nowhere"));
        Self { url, file: None, source, failed: false }
    }

    pub(crate) async fn fetch(
        &mut self,
        from: Option<Position>,
        limit: Limit,
    ) -> Result<Fetched, SourceError> {
        self.refreshed().await?;
        let outcome = self.source.fetch(from, limit).await;
        self.failed = outcome.is_err();
        outcome
    }

    pub(crate) async fn survey(&mut self, seqs: &[Seq]) -> Result<Survey, SourceError> {
        self.refreshed().await?;
        let outcome = self.source.survey(seqs).await;
        self.failed = outcome.is_err();
        outcome
    }

    async fn refreshed(&mut self) -> Result<(), SourceError> {
        if self.failed
            && let Some(file) = &self.file
        {
            let url = read(file).await?;
            if url != self.url {
                tracing::info!(ctldb = %url, "the URL of ctldb has changed");
                self.source = source(&url);
                self.url = url;
            }
        }
        Ok(())
    }
}

fn source(url: &CtlDbUrl) -> Box<dyn Source> {
    match url {
        CtlDbUrl::MySql(url) => Box::new(MySql::new(url)),
        CtlDbUrl::Sqlite(path) => Box::new(Sqlite::new(path.clone())),
    }
}

async fn read(path: &Path) -> Result<CtlDbUrl, SourceError> {
    let failed = |source| SourceError::Url { path: path.to_owned(), source };
    let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.into()))?;
    CtlDbUrl::parse(&text).map_err(|error| failed(error.into()))
}
