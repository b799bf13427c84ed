//! The named tasks of a process: the first that ends early ends the process, and the others get
//! a bounded time to finish.
//!
//! A task returns `Ok` when it saw the stop token and nothing else makes that an orderly end.
//! Threads of `spawn_blocking` cannot be ended from outside: `main` should leave its runtime
//! with `shutdown_timeout`, or one of them may hold the process up after [`Tasks::run`] returned.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::log::Chain;

/// Why [`Tasks::run`] did not end well.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task returned `Ok` though nobody had asked it to stop.
    #[error("task {name} ended early")]
    Early {
        /// The name given to [`Tasks::spawn`].
        name: &'static str,
    },
    /// The task returned an error, before or after it was asked to stop.
    #[error("task {name} failed")]
    Failed {
        /// The name given to [`Tasks::spawn`].
        name: &'static str,
        /// What the task returned.
        source: anyhow::Error,
    },
    /// The task panicked.
    #[error("task {name} panicked")]
    Panicked {
        /// The name given to [`Tasks::spawn`].
        name: &'static str,
        /// Carries the message of the panic.
        source: JoinError,
    },
    /// The tasks were still running when the time to finish was over.
    #[error("tasks did not stop within {drain:?}: {}", names.join(", "))]
    Undrained {
        /// The names, sorted.
        names: Vec<&'static str>,
        /// The time they had.
        drain: Duration,
    },
}

type Ended = Result<(Id, anyhow::Result<()>), JoinError>;

/// The tasks of one process. Dropping it aborts them.
#[derive(Debug)]
pub struct Tasks {
    stop: CancellationToken,
    set: JoinSet<anyhow::Result<()>>,
    /// Tasks that have not been seen to end.
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// No tasks yet; `stop` is what all of them must end by.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, set: JoinSet::new(), names: HashMap::new() }
    }

    /// The token that tells every task to stop.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task. It must run until [`Tasks::stop`] is cancelled.
    pub fn spawn<E>(
        &mut self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<anyhow::Error>,
    {
        let task = self.set.spawn(async move { future.await.map_err(Into::into) });
        self.names.insert(task.id(), name);
    }

    /// Runs until stop is cancelled or a task ends early, then cancels stop and gives the rest
    /// at most `drain` to finish.
    ///
    /// # Errors
    /// The first [`TaskError`]: a task that ended early, one that failed (also while stopping: an
    /// exit code 0 after a lost last write would be a lie), or those that did not stop in time.
    pub async fn run(mut self, drain: Duration) -> anyhow::Result<()> {
        let early = self.first_end().await;
        self.stop.cancel();
        let late = self.drain(drain).await;
        match early.or(late) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    async fn first_end(&mut self) -> Option<TaskError> {
        // Stop goes first: a task that ended because of it must not look like a crash.
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            Some(ended) = self.set.join_next_with_id() => ended,
        };
        self.judge(ended)
    }

    /// The first thing that went wrong while the tasks stopped.
    async fn drain(&mut self, drain: Duration) -> Option<TaskError> {
        let mut first = None;
        let all = async {
            while let Some(ended) = self.set.join_next_with_id().await {
                if let Some(error) = self.judge(ended) {
                    tracing::warn!(error = %Chain(&error), "a task did not stop well");
                    first.get_or_insert(error);
                }
            }
        };
        if tokio::time::timeout(drain, all).await.is_err() {
            let mut names: Vec<_> = self.names.values().copied().collect();
            names.sort_unstable();
            self.set.abort_all();
            let error = TaskError::Undrained { names, drain };
            tracing::warn!(error = %Chain(&error), "tasks are left behind");
            first.get_or_insert(error);
        }
        first
    }

    fn judge(&mut self, ended: Ended) -> Option<TaskError> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).expect("BUG: every task is named when it is spawned");
        match ended {
            // Asked here and not before the select: stop may have been cancelled in between.
            Ok((_, Ok(()))) if self.stop.is_cancelled() => None,
            Ok((_, Ok(()))) => Some(TaskError::Early { name }),
            Ok((_, Err(source))) => Some(TaskError::Failed { name, source }),
            Err(source) => Some(TaskError::Panicked { name, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::time::{Instant, sleep};

    use super::*;

    const DRAIN: Duration = Duration::from_secs(20);

    fn tasks() -> Tasks {
        Tasks::new(CancellationToken::new())
    }

    fn spawn_obedient(tasks: &mut Tasks, name: &'static str) {
        let stop = tasks.stop();
        tasks.spawn(name, async move {
            stop.cancelled().await;
            io::Result::Ok(())
        });
    }

    fn text(outcome: anyhow::Result<()>) -> String {
        Chain(outcome.unwrap_err().as_ref()).to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_early_ends_the_process_and_is_named() {
        let mut tasks = tasks();
        let stop = tasks.stop();
        spawn_obedient(&mut tasks, "other");
        tasks.spawn("replay", async { io::Result::Ok(()) });
        assert_eq!(text(tasks.run(DRAIN).await), "task replay ended early");
        assert!(stop.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_or_panics_is_named_with_its_cause() {
        let mut failing = tasks();
        failing.spawn("replay", async { Err(io::Error::other("disk full")) });
        assert_eq!(text(failing.run(DRAIN).await), "task replay failed: disk full");

        let mut panicking = tasks();
        async fn broken() -> io::Result<()> {
            panic!("no such page")
        }
        panicking.spawn("replay", broken());
        let text = text(panicking.run(DRAIN).await);
        assert!(text.starts_with("task replay panicked: "), "{text}");
        assert!(text.contains("no such page"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn tasks_that_end_because_of_stop_are_not_crashes() {
        for _ in 0..300 {
            let mut tasks = tasks();
            spawn_obedient(&mut tasks, "a");
            spawn_obedient(&mut tasks, "b");
            let stop = tasks.stop();
            let run = tokio::spawn(tasks.run(DRAIN));
            tokio::task::yield_now().await;
            stop.cancel();
            run.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_may_end_the_process_in_good_order() {
        let mut tasks = tasks();
        spawn_obedient(&mut tasks, "other");
        let stop = tasks.stop();
        tasks.spawn("demo", async move {
            stop.cancel();
            io::Result::Ok(())
        });
        tasks.run(DRAIN).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_do_not_stop_in_time_are_named() {
        let mut tasks = tasks();
        spawn_obedient(&mut tasks, "quick");
        tasks.spawn("stuck", std::future::pending::<io::Result<()>>());
        tasks.spawn("slow", async {
            sleep(DRAIN * 2).await;
            io::Result::Ok(())
        });
        tasks.stop().cancel();
        let start = Instant::now();
        assert_eq!(text(tasks.run(DRAIN).await), "tasks did not stop within 20s: slow, stuck");
        assert_eq!(start.elapsed(), DRAIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_while_stopping_is_told_and_the_crash_before_it_wins() {
        let spawn_sore_loser = |tasks: &mut Tasks| {
            let stop = tasks.stop();
            tasks.spawn("flush", async move {
                stop.cancelled().await;
                Err(io::Error::other("last write lost"))
            });
        };
        let mut stopped = tasks();
        spawn_sore_loser(&mut stopped);
        stopped.stop().cancel();
        assert_eq!(text(stopped.run(DRAIN).await), "task flush failed: last write lost");

        let mut crashed = tasks();
        spawn_sore_loser(&mut crashed);
        crashed.spawn("replay", async { io::Result::Ok(()) });
        assert_eq!(text(crashed.run(DRAIN).await), "task replay ended early");
    }
}
