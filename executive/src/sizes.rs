//! How large tables are: shown in the metrics, and measured here when nobody else does. Where an operator runs, its leader
//! measures.

use std::convert::Infallible;
use std::time::Duration;

use ctldb::{Error, Fence, TableSize};
use daemon::log::Chain;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks, as in the original.
const PAUSE: Duration = Duration::from_secs(60);
/// While ctldb is away.
const RETRY: Duration = Duration::from_secs(2);
/// Older figures mean that nobody measures.
const STALE: Duration = Duration::from_secs(150);

/// Looks at the sizes of tables until `stop`.
pub(crate) async fn watch(app: App, stop: CancellationToken) -> Result<(), Infallible> {
    loop {
        let pause = match look(&app).await {
            Ok(sizes) => {
                app.metrics.sizes(&sizes, app.limits.size);
                PAUSE
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "cannot learn how large tables are");
                RETRY
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = sleep(pause) => {}
        }
    }
}

async fn look(app: &App) -> Result<Vec<TableSize>, Error> {
    let sizes = app.db.table_sizes().await?;
    if sizes.iter().any(|size| size.age < STALE) {
        return Ok(sizes);
    }
    app.db.measure_table_sizes(Fence::Open).await
}
