//! What other tasks ask of those things that the loop alone has: the LDB's writer. They are served between two turns; a loop that
//! rests is woken, and one that catches up pauses.

use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::ldb::{Claim, Draft, Drafts, Error, Frozen};

/// More wait until there is room.
const QUEUE: usize = 8;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Request {
    Freeze { budget: Duration, answer: Answer<Option<Frozen>> },
    Publish { draft: Draft, claim: Claim, answer: Answer<()> },
    Rebuild { answer: Answer<()> },
}

/// Where the answer goes. Nobody may be there any more.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, RequestError>>;

/// Why the loop did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the LDB's writer did not do it")]
    Ldb(#[from] Error),
    #[error("the agent is about to end")]
    Stopping,
}

/// Asks. Clones ask the same loop.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    queue: mpsc::Sender<Request>,
    drafts: Drafts,
}

/// The loop's end of it.
#[derive(Debug)]
pub(crate) struct Asked(mpsc::Receiver<Request>);

impl Requests {
    pub(crate) fn new(drafts: Drafts) -> (Self, Asked) {
        let (queue, asked) = mpsc::channel(QUEUE);
        (Self { queue, drafts }, Asked(asked))
    }

    /// Freezes the served file, if open views of readers end within the budget, for which nothing is applied. None: they
    /// did not, or the file is just being replaced; try later. The WAL grows while the answer lives.
    pub(crate) async fn freeze(&self, budget: Duration) -> Result<Option<Frozen>, RequestError> {
        self.ask(|answer| Request::Freeze { budget, answer }).await
    }

    /// Serves a filled draft in place of what is served. After an error all is as it was, and the draft is gone.
    pub(crate) async fn publish(&self, draft: Draft, claim: Claim) -> Result<(), RequestError> {
        self.ask(|answer| Request::Publish { draft, claim, answer }).await
    }

    /// Builds the LDB anew from the ledger's beginning; what is served stays until that has come as far.
    pub(crate) async fn rebuild(&self) -> Result<(), RequestError> {
        self.ask(|answer| Request::Rebuild { answer }).await
    }

    /// Where drafts to publish come from.
    pub(crate) fn drafts(&self) -> Drafts {
        self.drafts.clone()
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.queue.send(request(answer)).await;
        sent.map_err(|_| RequestError::Stopping)?;
        answered.await.map_err(|_| RequestError::Stopping)?
    }
}

impl Asked {
    /// The next one, as soon as there is one. May be dropped at any point.
    pub(crate) async fn next(&mut self) -> Request {
        match self.0.recv().await {
            Some(request) => request,
            None => pending().await,
        }
    }

    /// The next one, if there is one.
    pub(crate) fn now(&mut self) -> Option<Request> {
        self.0.try_recv().ok()
    }
}
