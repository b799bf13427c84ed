//! The leader's heartbeat: a row that changes at regular times, by which the lag of nodes can be told from silence.

use std::time::Duration;

use ctldb::Author;
use daemon::log::Chain;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Beats every `interval` until `stop`. The first beat comes after the first interval: an operator that is restarted
/// all the time writes no more than others.
pub(crate) async fn run(context: &Context, interval: Duration, stop: &CancellationToken) {
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let author = Author::system(&format!("operator/{}", context.cluster));
        let beat = context
            .database
            .ask("write the heartbeat", async |ctldb, fence| ctldb.heartbeat(&author, fence).await);
        match beat.await {
            Ok(_) => failing = false,
            // The first of a row of failures is news; conditions and metrics tell of the others.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(error = %Chain(&error), "no heartbeat, it is tried again");
            }
            Err(_) => {}
        }
    }
}
