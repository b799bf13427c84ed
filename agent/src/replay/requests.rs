//! What other tasks ask of those things that the loop alone has: the LDB's writer and the connection to ctldb. They are
//! served between two turns; a loop that rests is woken, and one that catches up pauses.

use std::future::pending;
use std::time::Duration;

use ledger::Seq;
use tokio::sync::{mpsc, oneshot};

use crate::bootstrap::decide::Own;
use crate::ldb::{Claim, Draft, Drafts, Error, Frozen};
use crate::source::{SourceError, Survey};

/// More wait until there is room.
const QUEUE: usize = 8;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Request {
    Look { seqs: Vec<Seq>, answer: Answer<Looked> },
    Begin { answer: Answer<()> },
    Write(Write),
}

/// What is asked of the writer.
#[derive(Debug)]
pub(crate) enum Write {
    Freeze { budget: Duration, answer: Answer<Option<Frozen>> },
    Publish { draft: Draft, claim: Claim, answer: Answer<()> },
    Rebuild { from: Origin, answer: Answer<()> },
}

/// What the LDB is built anew from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The ledger's beginning.
    Nothing,
    /// A filled draft.
    Draft(Draft),
    /// The same, and what is served is of another ledger.
    DraftOfOther(Draft),
}

/// What a look shows.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The LDB.
    pub(crate) own: Own,
    /// The ledger.
    pub(crate) ledger: Result<Survey, SourceError>,
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
        self.ask(|answer| Request::Write(Write::Freeze { budget, answer })).await
    }

    /// Serves a filled draft in place of what is served. After an error all is as it was, and the draft is gone.
    pub(crate) async fn publish(&self, draft: Draft, claim: Claim) -> Result<(), RequestError> {
        self.ask(|answer| Request::Write(Write::Publish { draft, claim, answer })).await
    }

    /// Builds the LDB anew; what is served stays until the new one has come as far.
    pub(crate) async fn rebuild(&self, from: Origin) -> Result<(), RequestError> {
        self.ask(|answer| Request::Write(Write::Rebuild { from, answer })).await
    }

    /// The loop may begin with the first entry of the ledger.
    pub(crate) async fn begin(&self) -> Result<(), RequestError> {
        self.ask(|answer| Request::Begin { answer }).await
    }

    /// Where the LDB stands, and what the ledger says of itself and of these entries.
    pub(crate) async fn look(&self, seqs: Vec<Seq>) -> Result<Looked, RequestError> {
        self.ask(|answer| Request::Look { seqs, answer }).await
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
