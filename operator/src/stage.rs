//! What leads only while we lead.

use std::future::Future;
use std::sync::Arc;

use daemon::lease::Leadership;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The place of a task that is the leader's: it waits until we lead, and the Lease is kept until it has ended.
#[derive(Clone)]
pub(crate) struct Stage {
    leadership: watch::Receiver<Leadership>,
    pub(crate) stop: CancellationToken,
    /// The Lease is given back when the last of the leader's tasks has dropped it, however that task ended.
    _over: Arc<DropGuard>,
}

impl Stage {
    /// `work_over` is cancelled when the last clone is gone.
    pub(crate) fn new(
        leadership: watch::Receiver<Leadership>,
        stop: CancellationToken,
        work_over: CancellationToken,
    ) -> Self {
        Self { leadership, stop, _over: Arc::new(work_over.drop_guard()) }
    }

    /// Does `work` once we lead; nothing if we never do.
    pub(crate) async fn run<E>(
        mut self,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let leading = async {
            if self.leadership.wait_for(|now| *now == Leadership::Leading).await.is_err() {
                // The candidate has ended, and with it the process will.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            () = leading => {}
        }
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn the_lease_outlives_the_leaders_work_and_no_more() {
        let (leading, leadership) = watch::channel(Leadership::Following { holder: None });
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let stage = Stage::new(leadership, stop.clone(), over.clone());
        let (work, standby) = (stage.clone(), stage.clone());
        drop(stage);
        let inside = stop.clone();
        let work = tokio::spawn(work.run(async move {
            inside.cancelled().await;
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(())
        }));
        leading.send_replace(Leadership::Leading);
        stop.cancel();
        let nothing = async { panic!("stop came first") };
        standby.run::<Infallible>(nothing).await.unwrap();
        work.await.unwrap().unwrap();
        assert!(over.is_cancelled());
    }
}
