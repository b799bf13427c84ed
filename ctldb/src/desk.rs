//! Where the writers of this process hand in their batches. One at a time writes: while a transaction is
//! under way the next ones gather, and then go together, under one ledger lock and with one commit. Each is still judged
//! and numbered by itself and has its own row in `ctlstore_batches`; what keeps one back keeps no other back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ledger::LdbTable;
use tokio::sync::oneshot;

use crate::fault::cause;
use crate::mutate::ACTION;
use crate::prepared::Prepared;
use crate::{Committed, CtlDb, Error, Fault};

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It is in the ledger.
    Done(Committed),
    /// It must be written alone, after these tables were reserved. Nothing was written.
    Altered(Vec<LdbTable>),
}

#[derive(Default)]
pub(crate) struct Desk(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Somebody writes, and looks here again before it ends.
    served: bool,
}

struct Job {
    prepared: Arc<Prepared>,
    deadline: Instant,
    answer: oneshot::Sender<Result<Reply, Error>>,
}

/// Batches of one transaction, at most, and their bytes; a larger batch goes alone.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: usize = 1 << 20;

impl CtlDb {
    /// Has a batch written together with others.
    pub(crate) async fn hand_in(
        &self,
        prepared: Arc<Prepared>,
        deadline: Instant,
    ) -> Result<Reply, Error> {
        let (answer, told) = oneshot::channel();
        if let Some(Job { prepared, .. }) = self.desk().put(Job { prepared, deadline, answer }) {
            // Whoever comes to an empty desk writes its own batch, and then sees who came meanwhile.
            let _turn = Turn { ctldb: self };
            return self.write_alone(&prepared, &[], deadline).await;
        }
        told.await.unwrap_or_else(|_| {
            let source = Fault::Away(cause("whoever wrote for all ended before it was done"));
            Err(Error::Unsure { action: ACTION, source })
        })
    }

    async fn serve(&self) {
        let mut shift = Shift { desk: self.desk(), over: false };
        while let Some(jobs) = self.desk().next() {
            self.write_jobs(jobs).await;
        }
        shift.over = true;
    }

    async fn write_jobs(&self, jobs: Vec<Job>) {
        let batches: Vec<_> = jobs.iter().map(|job| Arc::clone(&job.prepared)).collect();
        let deadline = jobs.iter().map(|job| job.deadline).min().unwrap_or_else(Instant::now);
        match self.write_batches(&batches, &[], deadline).await {
            Ok(replies) => {
                for (job, reply) in jobs.into_iter().zip(replies) {
                    job.tell(reply);
                }
            }
            Err(error) if jobs.len() == 1 || error.concerns_all() => {
                for job in jobs {
                    job.tell(Err(error.clone()));
                }
            }
            // One of them may have spoilt it for all.
            Err(_) => {
                for job in jobs {
                    let reply = self.write_alone(&job.prepared, &[], job.deadline).await;
                    job.tell(reply);
                }
            }
        }
    }
}

impl Job {
    fn tell(self, reply: Result<Reply, Error>) {
        // Whoever does not wait any more need not know.
        let _ = self.answer.send(reply);
    }
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the job back when nobody serves: now it is the caller who does.
    fn put(&self, job: Job) -> Option<Job> {
        let mut waiting = self.waiting();
        if !std::mem::replace(&mut waiting.served, true) {
            return Some(job);
        }
        waiting.jobs.push_back(job);
        None
    }

    /// Those that go together next, in the order in which they came; none, and nobody serves any more.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        // Nothing was begun for those that nobody waits for.
        waiting.jobs.retain(|job| !job.answer.is_closed());
        let (mut chosen, mut left, mut bytes) = (Vec::new(), VecDeque::new(), 0);
        for job in std::mem::take(&mut waiting.jobs) {
            let size = job.prepared.bytes();
            let fits =
                chosen.is_empty() || (chosen.len() < TOGETHER && bytes + size <= TOGETHER_BYTES);
            // A writer's batches follow each other: by each the next one is judged.
            let first_of_writer =
                !chosen.iter().chain(&left).any(|other: &Job| other.same_writer(&job));
            if fits && first_of_writer {
                bytes += size;
                chosen.push(job);
            } else {
                left.push_back(job);
            }
        }
        waiting.jobs = left;
        waiting.served = !chosen.is_empty();
        waiting.served.then_some(chosen)
    }
}

impl Job {
    fn same_writer(&self, other: &Self) -> bool {
        let writer = |job: &'_ Self| {
            job.prepared.claim.as_ref().map(|claim| claim.credentials.writer.clone())
        };
        writer(self) == writer(other)
    }
}

/// Whoever writes its own batch, while others wait. Its end, be it that it was given up, is their beginning.
struct Turn<'a> {
    ctldb: &'a CtlDb,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.ctldb.desk().waiting();
        waiting.served = !waiting.jobs.is_empty();
        if !waiting.served {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let ctldb = self.ctldb.clone();
                // tidy: allow spawn: ends when nothing waits; whoever stops waiting must not end what is done for others
                runtime.spawn(async move { ctldb.serve().await });
            }
            // The process ends, and nobody waits for long.
            Err(_) => {
                waiting.jobs.clear();
                waiting.served = false;
            }
        }
    }
}

/// Whoever serves others. When it ends before its time, nobody is left waiting for it.
struct Shift<'a> {
    desk: &'a Desk,
    over: bool,
}

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        if !self.over {
            let mut waiting = self.desk.waiting();
            waiting.jobs.clear();
            waiting.served = false;
        }
    }
}
