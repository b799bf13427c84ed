//! ctldb as the operator uses it: behind the breaker, fenced by the epoch of our reign, and nothing before that is won.

use std::future::Future;

use crds::condition::Reason;
use ctldb::{ClusterName, CtlDb, Error, Fault, Fence};
use daemon::log::Chain;
use ledger::CtlDbUrl;
use tokio::sync::{OnceCell, watch};

use crate::breaker::{Breaker, Outage};
use crate::metrics::Metrics;

/// What came of asking the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// It was not asked.
    #[error(transparent)]
    Down(Outage),
    /// It was asked, and failed.
    #[error("cannot {action}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: Box<Error>,
    },
}

impl DatabaseError {
    /// Does another operator lead?
    pub(crate) fn is_deposed(&self) -> bool {
        match self {
            DatabaseError::Down(_) => false,
            DatabaseError::Failed { action: _, source } => source.is_deposed(),
        }
    }
}

/// Another operator of our cluster leads now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("deposed: {0}")]
pub(crate) struct Deposed(String);

/// The database, for all reconciles and chores of this process.
#[derive(Debug)]
pub(crate) struct Database {
    ctldb: CtlDb,
    /// Whose operator we are; each cluster has epochs of its own.
    cluster: ClusterName,
    breaker: Breaker,
    /// The fence of our reign. A process leads once: when it loses the Lease, it ends.
    reign: OnceCell<Fence>,
    deposed: watch::Sender<Option<Deposed>>,
    metrics: Metrics,
}

impl Database {
    pub(crate) fn new(ctldb: CtlDb, cluster: ClusterName, metrics: Metrics) -> Self {
        let deposed = watch::Sender::new(None);
        let (breaker, reign) = (Breaker::new(), OnceCell::new());
        Self { ctldb, cluster, breaker, reign, deposed, metrics }
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Asks the database something. `call` is given the database and the fence that writes must pass.
    pub(crate) async fn ask<T, F>(
        &self,
        action: &'static str,
        call: impl FnOnce(CtlDb, Fence) -> F,
    ) -> Result<T, DatabaseError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.breaker.check().map_err(DatabaseError::Down)?;
        let fence = self.reign().await?;
        match call(self.ctldb.clone(), fence).await {
            Ok(answer) => Ok(answer),
            Err(source) => Err(self.failed(action, source).await),
        }
    }

    /// Migrates the database, wins an epoch, and finishes what others left unfinished; once.
    pub(crate) async fn reign(&self) -> Result<Fence, DatabaseError> {
        let begin = async || {
            let migrated = self.ctldb.migrate().await?;
            let reign = self.ctldb.win_reign(self.cluster).await?;
            let fence = Fence::Reign(reign);
            let finished = self.ctldb.finish_intents(fence).await?;
            let (cluster, epoch, finished) = (reign.cluster, reign.epoch, finished.len());
            self.metrics.database(true);
            tracing::info!(?migrated, %cluster, %epoch, finished, "leading");
            Ok(fence)
        };
        match self.reign.get_or_try_init(begin).await {
            Ok(fence) => Ok(*fence),
            Err(source) => {
                // Nothing can be done before, so nobody else needs to try.
                self.breaker.trip(outage(&source).unwrap_or_else(|| Outage {
                    reason: Reason::DatabaseUnavailable,
                    message: words(&source),
                }));
                Err(self.failed("take the lead", source).await)
            }
        }
    }

    /// Is the database there again, and ours?
    pub(crate) async fn probe(&self) -> bool {
        if self.reign.initialized() {
            let answer = self.ctldb.ping().await;
            self.metrics.database(answer.is_ok());
            return answer.is_ok();
        }
        let answer = self.reign().await.is_ok();
        self.metrics.database(answer);
        answer
    }

    /// The URL changed: its secret was rotated, or the database moved.
    pub(crate) async fn replace_url(&self, url: CtlDbUrl) {
        self.ctldb.replace_url(url).await;
        self.breaker.hurry();
    }

    /// Returns when another operator has taken the lead.
    pub(crate) async fn deposed(&self) -> Deposed {
        let mut deposed = self.deposed.subscribe();
        let found = deposed.wait_for(Option::is_some).await;
        let found = found.expect("BUG: we hold the sender").clone();
        found.expect("BUG: waited for it")
    }

    /// A connection may break and another be fine; only when that one fails too, the database is away.
    async fn failed(&self, action: &'static str, source: Error) -> DatabaseError {
        if source.is_deposed() {
            self.deposed.send_replace(Some(Deposed(source.to_string())));
        }
        let broken = matches!(source, Error::Unavailable { .. } | Error::Unsure { .. });
        if broken && self.breaker.check().is_ok() && self.ctldb.ping().await.is_err() {
            self.metrics.database(false);
            tracing::warn!(error = %Chain(&source), "the database does not answer");
            self.breaker
                .trip(Outage { reason: Reason::DatabaseUnavailable, message: words(&source) });
        }
        DatabaseError::Failed { action, source: Box::new(source) }
    }
}

/// Is it the database as a whole that cannot be used, and why?
pub(crate) fn outage(error: &Error) -> Option<Outage> {
    let reason = match error {
        Error::Database { source: Fault::Denied(_), .. } => Reason::PrivilegeMissing,
        Error::LedgerTaken { .. } => Reason::LedgerTaken,
        Error::Unavailable { .. }
        | Error::Contended { .. }
        | Error::Unsure { .. }
        | Error::Database { .. } => Reason::DatabaseUnavailable,
        Error::NotMigrated
        | Error::TooNew { .. }
        | Error::Original
        | Error::Collation
        | Error::LedgerLock
        | Error::Corrupt { .. } => Reason::DatabaseIncompatible,
        _ => return None,
    };
    Some(Outage { reason, message: words(error) })
}

/// What may be shown of an error: it and the fault behind it, both in our words. What is behind the fault is the
/// driver's, which may name hosts and users, and is for the log.
fn words(error: &Error) -> String {
    if let Error::Database { action, source: Fault::Denied(_) } = error {
        return format!(
            "{action}: the operator's database user lacks a privilege, grant what docs/grants.md lists; its log has the database's own words"
        );
    }
    if matches!(error, Error::LedgerTaken { .. }) {
        return error.to_string();
    }
    match std::error::Error::source(error) {
        Some(fault) if fault.is::<Fault>() => format!("{error}: {fault}"),
        Some(_) | None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(words: &str) -> std::sync::Arc<dyn std::error::Error + Send + Sync> {
        std::sync::Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(words))
    }

    #[test]
    fn an_outage_says_what_is_wrong_and_not_in_the_drivers_words() {
        let source = Fault::Denied(cause("CREATE command denied to user 'op'@'10.0.0.7'"));
        let denied = Error::Database { action: "change a table", source };
        let Outage { reason, message } = outage(&denied).unwrap();
        assert_eq!(reason, Reason::PrivilegeMissing);
        assert_eq!(
            message,
            "change a table: the operator's database user lacks a privilege, grant what docs/grants.md lists; its log has the database's own words"
        );
        let taken = Error::LedgerTaken { source: Fault::Duplicate(cause("Duplicate entry '7'")) };
        let Outage { reason, message } = outage(&taken).unwrap();
        assert_eq!(reason, Reason::LedgerTaken);
        assert!(message.contains("ctlstore ctldb new-history") && !message.contains("'7'"));
        let full = Error::Database { action: "change a table", source: Fault::Refused(cause("x")) };
        assert_eq!(outage(&full).unwrap().reason, Reason::DatabaseUnavailable);
        assert_eq!(outage(&Error::LedgerLock).unwrap().message, Error::LedgerLock.to_string());
    }
}
