//! What every request needs, and how a change of ctldb is carried out: to its end, whatever becomes of the client.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ctldb::CtlDb;
use daemon::ready::Readiness;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::auth::Admins;
use crate::catalog::Catalog;
use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::writers::Known;

/// What every request needs. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Parts>);

/// The parts of an [`App`].
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) db: CtlDb,
    pub(crate) admins: Admins,
    pub(crate) catalog: Catalog,
    pub(crate) known: Known,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    /// Requests and changes in hand; the process waits for them before it ends.
    pub(crate) flight: TaskTracker,
    /// A request holds one while it is handled.
    pub(crate) slots: Semaphore,
    /// How long a request may take.
    pub(crate) timeout: Duration,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Carries out a change of ctldb. It runs to its end also when the client goes away or loses patience: a change that
    /// was committed must not look like one that was broken off.
    ///
    /// # Errors
    /// The time of the request is over; the change goes on.
    pub(crate) async fn carry_out<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, ctldb::Error>> + Send + 'static,
    ) -> Result<Result<T, ctldb::Error>, Error> {
        // tidy: allow spawn: outlives its request, and is waited for through `flight`
        let task = self.flight.spawn(change.in_current_span());
        match tokio::time::timeout(self.timeout, task).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(panic)) => Err(Error::internal().because(panic)),
            Err(_) => Err(Error::new(
                Code::Timeout,
                format!(
                    "not done within {:?} and still going on: look whether it happened before you repeat it",
                    self.timeout
                ),
            )),
        }
    }

    /// Asks ctldb something.
    pub(crate) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, ctldb::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.timeout, question).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::new(
                Code::Unavailable,
                format!("ctldb did not answer within {:?}, try again", self.timeout),
            )
            .retry_after(Duration::from_secs(1))),
        }
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
