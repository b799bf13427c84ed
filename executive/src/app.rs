//! What every request needs, and how a change of ctldb is carried out: to its end, whatever becomes of the client.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ctldb::{CtlDb, Limits};
use daemon::ready::Readiness;
use daemon::serve::InFlight;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::auth::Admins;
use crate::catalog::Catalog;
use crate::error::{Code, Error};
use crate::hold::Hold;
use crate::metrics::Metrics;
use crate::ticket::Ticket;
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
    /// A request holds one while it is handled, and a change until it is over.
    pub(crate) places: InFlight,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// What holds for writers and tables without limits of their own.
    pub(crate) limits: Limits,
    /// May rows be cleared and tables be dropped over HTTP?
    pub(crate) destructive: bool,
    /// Why nothing is written for now, if so.
    pub(crate) hold: Hold,
    /// The API's description.
    pub(crate) openapi: String,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Carries out a change of ctldb. It runs to its end also when the client goes away or loses patience: a change that
    /// was committed must not look like one that was broken off.
    ///
    /// # Errors
    /// The time of the request is over; the change goes on, unless it was over before the change began.
    pub(crate) async fn carry_out<T: Send + 'static>(
        &self,
        ticket: &Ticket,
        change: impl Future<Output = Result<T, ctldb::Error>> + Send + 'static,
    ) -> Result<Result<T, ctldb::Error>, Error> {
        if Instant::now() >= ticket.deadline {
            return Err(out_of_time(ticket));
        }
        let held = ticket.clone();
        let change = async move {
            let outcome = change.await;
            drop(held);
            outcome
        };
        // tidy: allow spawn: outlives its request, and is waited for through `flight`
        let task = self.flight.spawn(change.in_current_span());
        match timeout_at(ticket.deadline, task).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(panic)) => Err(Error::internal().because(panic)),
            Err(_) => Err(Error::new(
                Code::Timeout,
                format!(
                    "not done within {:?} and still going on: look whether it happened before you repeat it",
                    ticket.time
                ),
            )),
        }
    }

    /// Asks ctldb something.
    pub(crate) async fn ask<T>(
        &self,
        ticket: &Ticket,
        question: impl Future<Output = Result<T, ctldb::Error>>,
    ) -> Result<T, Error> {
        match timeout_at(ticket.deadline, question).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(out_of_time(ticket)),
        }
    }
}

/// Nothing was begun.
fn out_of_time(ticket: &Ticket) -> Error {
    let text = format!("not done within {:?} and nothing was changed, try again", ticket.time);
    Error::new(Code::Unavailable, text).retry_after(Duration::from_secs(1))
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ledger::CtlDbUrl;

    use super::*;

    /// An app whose ctldb is never asked.
    pub(crate) fn idle() -> App {
        App::new(Parts {
            db: CtlDb::open(CtlDbUrl::Sqlite("/nowhere/ctldb".into())).unwrap(),
            admins: Admins::Closed,
            catalog: Catalog::default(),
            known: Known::default(),
            metrics: Metrics::new().0,
            readiness: Readiness::new(),
            flight: TaskTracker::new(),
            places: InFlight::new(1),
            timeout: Duration::from_secs(1),
            limits: Limits::default(),
            destructive: false,
            hold: Hold::new(false),
            openapi: String::new(),
        })
    }
}
