//! Keeps writers busy for a while and times each batch.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::executive::clients::{Kind, Stage};

/// What a run came to.
pub(crate) struct Load {
    pub(crate) batches_per_second: f64,
    /// Of each batch, ascending.
    pub(crate) times: Vec<Duration>,
}

const WARM: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_secs(2);

/// Has so many writers write batches of so many rows, each the next one as soon as the last is answered.
pub(crate) async fn drive(stage: &Stage, kind: Kind, writers: usize, rows: usize) -> Result<Load> {
    let mut clients = Vec::new();
    for writer in 0..writers {
        clients.push(stage.client(kind, writer).await?);
    }
    let start = Instant::now() + WARM;
    let end = start + MEASURED;
    let mut tasks = JoinSet::new();
    for mut client in clients {
        tasks.spawn(async move {
            let (mut times, mut round) = (Vec::new(), 0);
            loop {
                let began = Instant::now();
                if began >= end {
                    return anyhow::Ok(times);
                }
                client.write(rows, round).await?;
                round += 1;
                if began >= start {
                    times.push(began.elapsed());
                }
            }
        });
    }
    let mut times = Vec::new();
    for done in tasks.join_all().await {
        times.extend(done?);
    }
    times.sort_unstable();
    let batches = f64::from(u32::try_from(times.len())?);
    Ok(Load { batches_per_second: batches / MEASURED.as_secs_f64(), times })
}

/// Of ascending times.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).copied().unwrap_or_default()
}
