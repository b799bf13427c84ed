//! Is ctldb there? The loop that makes it ready at start and asks it from then on, and the two health routes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use ctldb::{Error as DbError, Fence};
use daemon::backoff::Backoff;
use daemon::log::Chain;
use daemon::ready::Gate;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two questions, and how long the answer to one may take.
const BEAT: Duration = Duration::from_secs(5);
/// So many in a row must fail before we are not ready: a short restart of ctldb should not turn all replicas away.
const PATIENCE: u32 = 3;
/// Between two attempts to make ctldb ready: the first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// `GET /status`: 200 as long as the process answers, as in the original.
pub(crate) async fn status() -> StatusCode {
    StatusCode::OK
}

/// `GET /healthcheck`: 200 when requests can be served, else 503 with the reasons.
pub(crate) async fn healthcheck(State(app): State<App>) -> (StatusCode, String) {
    let waits = app.readiness.waits();
    if waits.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let lines = waits.iter().map(|wait| format!("{}: {}\n", wait.name, wait.reason));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
}

/// Makes ctldb ready and watches it, until `stop`.
pub(crate) async fn watch(app: App, gate: Gate, stop: CancellationToken) -> Result<(), Infallible> {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = keep(app, Arc::new(gate)) => {}
    }
    Ok(())
}

async fn keep(app: App, gate: Arc<Gate>) {
    migrate(app.clone(), Arc::clone(&gate)).await;
    // A change that waits for a lock must not keep other tables from being written.
    tokio::join!(finish_intents(app.clone()), ask_on(app, gate));
}

/// Brings ctldb's schema up to date, however long it is away.
async fn migrate(app: App, gate: Arc<Gate>) {
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    loop {
        match app.db.migrate().await {
            Ok(outcome) => {
                tracing::info!(?outcome, "ctldb is ready");
                app.metrics.ctldb_up.set(1);
                return gate.set(true, "");
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "ctldb is not ready");
                app.metrics.ctldb_up.set(0);
                gate.set(false, error.to_string());
            }
        }
        sleep(backoff.next()).await;
    }
}

/// Finishes the schema changes that a process before us began.
async fn finish_intents(app: App) {
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    loop {
        match app.db.finish_intents(Fence::Open).await {
            Ok(tables) if tables.is_empty() => return,
            Ok(tables) => {
                let tables: Vec<_> = tables.iter().map(ToString::to_string).collect();
                return tracing::info!(
                    ?tables,
                    "finished changes of tables that were begun before"
                );
            }
            Err(error) => tracing::warn!(error = %Chain(&error), "cannot finish changes of tables"),
        }
        sleep(backoff.next()).await;
    }
}

async fn ask_on(app: App, gate: Arc<Gate>) {
    let mut verdict = Verdict::default();
    loop {
        match timeout(BEAT, app.db.meta()).await {
            Ok(Ok(meta)) => {
                app.metrics.reached(meta.last_seq());
                verdict.good();
            }
            // The URL leads to another database now, an empty one.
            Ok(Err(DbError::NotMigrated)) => migrate(app.clone(), Arc::clone(&gate)).await,
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "ctldb does not answer");
                verdict.bad(error.to_string());
            }
            Err(_) => verdict.bad(format!("ctldb did not answer within {BEAT:?}")),
        }
        app.metrics.ctldb_up.set((verdict.failures == 0).into());
        gate.set(verdict.is_ready(), verdict.reason());
        sleep(BEAT).await;
    }
}

/// Ready or not, with patience.
#[derive(Debug, Default)]
struct Verdict {
    /// Failures since the last success.
    failures: u32,
    last: String,
}

impl Verdict {
    fn good(&mut self) {
        *self = Self::default();
    }

    fn bad(&mut self, reason: String) {
        self.failures = self.failures.saturating_add(1);
        self.last = reason;
    }

    fn is_ready(&self) -> bool {
        self.failures < PATIENCE
    }

    fn reason(&self) -> String {
        format!("asked {} times in a row: {}", self.failures, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_needed_and_one_success_mends() {
        let mut verdict = Verdict::default();
        let mut ready = |outcomes: &str| {
            for outcome in outcomes.chars() {
                match outcome {
                    '.' => verdict.good(),
                    _ => verdict.bad("away".to_owned()),
                }
            }
            (verdict.is_ready(), verdict.reason())
        };
        assert!(ready("").0);
        assert!(ready("xx.xx").0);
        assert_eq!(ready("x"), (false, "asked 3 times in a row: away".to_owned()));
        assert!(!ready("xxxx").0);
        assert!(ready(".").0);
    }
}
